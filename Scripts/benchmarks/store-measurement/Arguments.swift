// A row's numbers, as they stand on the command line.

typealias Rows = [String: @Sendable (Arguments) throws -> Void]

struct Arguments {
    let words: ArraySlice<String>

    struct Missing: Error {
        let position: Int
    }

    private func word(_ position: Int) throws -> String {
        guard position < words.count else { throw Missing(position: position) }
        return words[words.startIndex + position]
    }

    func integer(_ position: Int) throws -> Int {
        guard let number = Int(try word(position)) else { throw Missing(position: position) }
        return number
    }

    func number(_ position: Int) throws -> Double {
        guard let number = Double(try word(position)) else { throw Missing(position: position) }
        return number
    }
}
