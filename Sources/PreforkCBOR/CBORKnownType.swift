// Types from outside of the standard library that CBOR has a form for.

/// `Date`, `Decimal`, `UUID`, `URL`, and the collections of bytes beside `[UInt8]`.
///
/// The codec does not import Foundation. FoundationEssentials would add 6.7 MB of address space and 1.7 MB of resident
/// memory to each program (Swift 6.3.1), also to one that never stores such a value. The types are looked up by name
/// instead, once for each process: where Foundation is not loaded, no value of them exists. Their content comes and
/// goes by their own `Codable`, which Foundation must keep, and not by their layout in memory. Should Foundation change
/// it all the same, they are written as they encode themselves, which is no loss between Swift programs.
enum CBORKnownType {
    case date, decimal, uuid, url
    /// `Data` and `ContiguousArray<UInt8>`.
    case bytes

    private struct Table {
        /// nil: Foundation was not there when the first value was written. Plugins that bring it later are too late.
        let date = foundation("4DateV")
        let data = foundation("4DataV")
        let decimal = foundation("7DecimalV")
        let uuid = foundation("4UUIDV")
        let url = foundation("3URLV")

        /// - Parameter name: mangled. All five are in FoundationEssentials since Swift 6.0.
        private static func foundation(_ name: String) -> ObjectIdentifier? {
            _typeByName("20FoundationEssentials" + name).map { ObjectIdentifier($0) }
        }
    }

    private static let table = Table()

    /// nil for all other types.
    @inline(__always)
    init?(_ type: Any.Type) {
        let identifier = ObjectIdentifier(type)
        let table = Self.table
        if identifier == table.date { self = .date }
        else if identifier == table.data { self = .bytes }
        else if identifier == table.uuid { self = .uuid }
        else if identifier == table.url { self = .url }
        else if identifier == table.decimal { self = .decimal }
        else if type == ContiguousArray<UInt8>.self { self = .bytes }
        else { return nil }
    }
}

/// Dictionaries and sets: `Codable` shows them as containers that CBOR has better forms for.
enum CBORCollectionForm {
    /// A map with integer keys.
    case integerMap
    /// A map with keys of any type. `Codable` shows an array of keys and values in turn.
    case map
    case set

    /// The keys of a Dictionary with Int or String keys, among which an `intValue` proves nothing: that of "1" is 1.
    static let dictionaryKey = _typeByName("s20_DictionaryCodingKeyV")

    /// nil for all other types.
    init?(_ type: Any.Type) {
        guard let collection = type as? any CBORCollection.Type else { return nil }
        self = collection.form
    }
}

private protocol CBORCollection {
    static var form: CBORCollectionForm { get }
}

extension Dictionary: CBORCollection {
    fileprivate static var form: CBORCollectionForm { Key.self == Int.self ? .integerMap : .map }
}

extension Set: CBORCollection {
    fileprivate static var form: CBORCollectionForm { .set }
}
