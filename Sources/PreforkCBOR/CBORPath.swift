// The position of an encoder or a decoder in a value, for error messages.

/// One step of a coding path. Made only when something lies below it: most values are leaves.
final class CBORPath {
    private let above: CBORPath?
    private let key: any CodingKey

    init(above: CBORPath?, key: any CodingKey) {
        self.above = above
        self.key = key
    }

    var keys: [any CodingKey] {
        var keys: [any CodingKey] = []
        var step: CBORPath? = self
        while let here = step {
            keys.append(here.key)
            step = here.above
        }
        return keys.reversed()
    }
}

/// A place in an array, and the name under which a class keeps its superclass's part.
struct CBORKey: CodingKey {
    static let `super` = CBORKey(stringValue: "super")

    let index: Int?
    private let name: String

    init(index: Int) {
        self.index = index
        name = ""
    }

    init(stringValue: String) {
        index = nil
        name = stringValue
    }

    init(intValue: Int) {
        self.init(index: intValue)
    }

    var intValue: Int? { index }
    var stringValue: String { index.map { "Index \($0)" } ?? name }
}
