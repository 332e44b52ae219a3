// One field of a cron schedule.

import PreforkSystem

/// The values that a field of a schedule allows, as a set of bits.
struct CronField: Hashable, Sendable {
    /// Bit n: the value n.
    private(set) var values: UInt64 = 0
    /// It begins with a star, so that it does not restrict the days by itself (crontab(5)).
    let isOpen: Bool

    func contains(_ value: Int) -> Bool { values & 1 << UInt64(value) != 0 }

    /// The lowest value from `value` on, or nil.
    func first(from value: Int) -> Int? {
        guard value < 64 else { return nil }
        let rest = (values >> UInt64(value)) << UInt64(value)
        return rest == 0 ? nil : rest.trailingZeroBitCount
    }

    /// What a field means and which texts it knows.
    struct Kind: Sendable {
        let name: String
        let range: ClosedRange<Int>
        /// Of the first values of the range, in lower case.
        var names: [String] = []

        static let minute = Kind(name: "minute", range: 0...59)
        static let hour = Kind(name: "hour", range: 0...23)
        static let day = Kind(name: "day of the month", range: 1...31)
        static let month = Kind(
            name: "month", range: 1...12,
            names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])
        /// 7 is Sunday, too.
        static let weekday = Kind(
            name: "day of the week", range: 0...7, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"])
        static let all = [minute, hour, day, month, weekday]
    }

    /// - Parameters:
    ///   - bytes: the whole schedule.
    ///   - part: where the field is in it. Not empty.
    init(_ bytes: [UInt8], _ part: Range<Int>, _ kind: Kind) throws(CronError) {
        isOpen = bytes[part.lowerBound] == UInt8(ascii: "*")
        var reader = Reader(bytes: bytes, position: part.lowerBound, end: part.upperBound, kind: kind)
        repeat { values |= try reader.element() } while reader.take(",")
        if reader.position < reader.end {
            throw reader.error("\"\(reader.rest)\" is not expected in the field of the \(kind.name)")
        }
        if kind.range.upperBound == 7, contains(7) { values = values & 0x7F | 1 }
    }

    private struct Reader {
        let bytes: [UInt8]
        var position: Int
        let end: Int
        let kind: Kind

        var rest: String { Escaping.brief(String(decoding: bytes[position..<end], as: UTF8.self)) }

        func error(_ reason: String, at place: Int? = nil) -> CronError {
            CronError(String(decoding: bytes, as: UTF8.self), at: (place ?? position) + 1, reason)
        }

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard position < end, bytes[position] == UInt8(ascii: character) else { return false }
            position += 1
            return true
        }

        /// `*`, `*/2`, `5`, `1-5` or `1-5/2`.
        mutating func element() throws(CronError) -> UInt64 {
            let start = position
            var (low, high) = (kind.range.lowerBound, kind.range.upperBound)
            var isRange = true
            if take("*") {
                // A star is not both Sundays: a step from 0 must not reach 7.
                if high == 7 { high = 6 }
            } else {
                low = try value()
                high = low
                isRange = take("-")
                if isRange {
                    let place = position
                    high = try value()
                    if high < low { throw error("a range ends with its greater value", at: place) }
                }
            }
            var step = 1
            let place = position
            if take("/") {
                if !isRange { throw error("a step follows a star or a range", at: place) }
                step = try number(upTo: 99, "a step")
                if step == 0 { throw error("a step is 1 or more", at: place + 1) }
            }
            if position == start { throw error("a value of the \(kind.name) is missing") }
            return stride(from: low, through: high, by: step).reduce(0) { $0 | 1 << UInt64($1) }
        }

        private mutating func value() throws(CronError) -> Int {
            let start = position
            if let named = name() { return named }
            let range = kind.range
            let number = try number(upTo: range.upperBound, "the \(kind.name)")
            guard range.contains(number) else {
                throw error("the \(kind.name) is within \(range.lowerBound)-\(range.upperBound)", at: start)
            }
            return number
        }

        /// Three letters, in upper or lower case.
        private mutating func name() -> Int? {
            guard position + 3 <= end, !kind.names.isEmpty else { return nil }
            let word = String(decoding: bytes[position..<position + 3], as: UTF8.self).lowercased()
            guard let index = kind.names.firstIndex(of: word) else { return nil }
            position += 3
            return kind.range.lowerBound + index
        }

        private mutating func number(upTo limit: Int, _ what: String) throws(CronError) -> Int {
            let start = position
            var number = 0
            while position < end, (48...57).contains(bytes[position]) {
                number = min(number * 10 + Int(bytes[position] - 48), 1_000)
                position += 1
            }
            if position == start {
                let isNamed = !kind.names.isEmpty && what != "a step"
                let names = isNamed ? " or a name such as \(kind.names[1].uppercased())" : ""
                let found = position < end ? ", not \"\(rest)\"" : ""
                throw error("\(what) is a number\(names)\(found)")
            }
            if number > limit {
                let expected = what == "a step" ? "at most \(limit)" : "within \(kind.range.lowerBound)-\(limit)"
                throw error("\(what) is \(expected)", at: start)
            }
            return number
        }
    }
}
