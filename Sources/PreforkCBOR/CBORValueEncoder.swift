// The encoder of one value of a document.

/// What `encode(to:)` of one value gets, and the state behind its containers.
///
/// All values are written straight into one writer. That works as long as they are written one after the other, which
/// `Codable` does not demand: a program may write to a nested container after it has written further to the parent.
/// Only then it gets a separate writer (`setOpenAside`), whose bytes are put in their place at the end.
final class CBORValueEncoder: Encoder {
    private enum Content {
        case nothing
        case scalar
        case map
        case array
    }

    private enum Phase {
        case ready
        /// An inner value is being encoded: nothing may be written around it.
        case busy
        case refusing(Refusal)
    }

    private enum Refusal: String {
        case around = "written while an inner value was being encoded"
        case late = "written after the end of the value it belongs to"
        case twice = "the value is encoded already"
        case otherContainer = "the value is a container of another kind already"
        case tooDeep = "containers are nested too deeply"
        case parentRefuses = "nested in a container that must not be written to"
    }

    private(set) var out: CBORWriter
    /// Where the value begins in `out`.
    private var start: Int
    private var content = Content.nothing
    private var phase = Phase.ready
    /// The error of a call that cannot throw. `finish` throws it.
    private var refused: Refusal?
    /// The items in the container: pairs in a map.
    private(set) var count = 0
    /// The items of the array are keys and values in turn.
    private var isPairs = false
    /// The nested container that was begun last, while nothing has followed it.
    private var open: CBORValueEncoder?

    /// What is encoding itself into this value.
    private var subject: Any.Type?

    private let depth: Int
    private let above: CBORPath?
    private let key: (any CodingKey)?
    private lazy var path: CBORPath? = key.map { CBORPath(above: above, key: $0) }

    init(into out: CBORWriter, depth: Int = 0, above: CBORPath? = nil, key: (any CodingKey)? = nil) {
        self.out = out
        self.depth = depth
        self.above = above
        self.key = key
        start = out.count
    }

    var isEmpty: Bool {
        content == .nothing && open == nil
    }

    var codingPath: [any CodingKey] { path?.keys ?? [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(CBORKeyedEncoding<Key>(value: begun(.map), naming: naming(of: Key.self)))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        CBORUnkeyedEncoding(value: begun(.array))
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        CBORSingleValueEncoding(value: self)
    }

    /// This value as a container, or one that refuses everything, because the calls that make containers cannot throw.
    private func begun(_ wanted: Content) -> CBORValueEncoder {
        if content == wanted { return self }
        if case .refusing = phase { return self }
        guard content == .nothing else { return refusing(.otherContainer) }
        guard depth < CBORCodec.maximumDepth else { return refusing(.tooDeep) }
        content = wanted
        if wanted == .array, let subject { prepare(for: CBORCollectionForm(subject)) }
        out.write(byte: 0)  // for the head
        return self
    }

    /// Before the head of an array that a Dictionary or a Set has asked for.
    private func prepare(for form: CBORCollectionForm?) {
        switch form {
        case .set:
            out.write(tag: CBORTag.set)
            start = out.count
        case .map, .integerMap:
            isPairs = true
        case nil:
            break
        }
    }

    private func naming(of key: any CodingKey.Type) -> CBORNaming {
        guard key == CBORCollectionForm.dictionaryKey else { return .key }
        if let subject, case .integerMap? = CBORCollectionForm(subject) { return .key }
        return .text
    }

    private func refusing(_ reason: Refusal) -> CBORValueEncoder {
        refused = refused ?? reason
        let value = CBORValueEncoder(into: CBORWriter(capacity: 0), above: above, key: key)
        value.phase = .refusing(reason)
        return value
    }

    private func error(_ reason: Refusal, _ value: Any) -> EncodingError {
        EncodingError.invalidValue(
            value, EncodingError.Context(codingPath: codingPath, debugDescription: reason.rawValue))
    }
}

/// What the containers call.
extension CBORValueEncoder {
    /// Call it before each item that is written to `out`.
    @inline(__always)
    private func expectItem(_ value: @autoclosure () -> Any) throws {
        if case .ready = phase, open == nil { return }
        try makeWay(for: value())
    }

    private func makeWay(for value: Any) throws {
        switch phase {
        case .ready: try setOpenAside(value)
        case .busy: throw error(.around, value)
        case .refusing(let reason): throw error(reason, value)
        }
    }

    /// Writes an item of a map (with its key) or of an array: all of it, or nothing when something throws.
    func add<Value: Encodable>(_ value: Value, key: some CodingKey, naming: CBORNaming) throws {
        try expectItem(value)
        let mark = out.count
        out.write(key, as: naming)
        if let type = CBORDirectType(Value.self) {
            out.write(value, as: type)
        } else if let item = try CBORKnownType(Value.self)?.item(of: value) {
            out.write(item: item)
        } else {
            phase = .busy
            defer { phase = .ready }
            let inner = CBORValueEncoder(into: out, depth: depth + 1, above: path, key: key)
            inner.subject = Value.self
            do {
                try value.encode(to: inner)
                try inner.finish()
            } catch {
                inner.end()
                out.truncate(to: mark)
                throw error
            }
        }
        count += 1
    }

    /// Writes an item of a known type by `write`.
    @inline(__always)
    func add(_ value: some Any, key: some CodingKey, naming: CBORNaming, _ write: (CBORWriter) -> Void) throws {
        try expectItem(value)
        out.write(key, as: naming)
        write(out)
        count += 1
    }

    /// Begins a nested map, array, or (nil) a value of any kind.
    private func nested(_ content: Content?, key: some CodingKey, naming: CBORNaming) -> CBORValueEncoder {
        do {
            try expectItem(key)
        } catch {
            return refusing(.parentRefuses)
        }
        out.write(key, as: naming)
        count += 1
        let inner = CBORValueEncoder(into: out, depth: depth + 1, above: path, key: key)
        open = inner
        return content.map { inner.begun($0) } ?? inner
    }

    func nestedMap(key: some CodingKey, naming: CBORNaming) -> CBORValueEncoder {
        nested(.map, key: key, naming: naming)
    }

    func nestedArray(key: some CodingKey, naming: CBORNaming) -> CBORValueEncoder {
        nested(.array, key: key, naming: naming)
    }

    func nestedAny(key: some CodingKey, naming: CBORNaming) -> CBORValueEncoder {
        nested(nil, key: key, naming: naming)
    }

    /// Makes an item the whole value, by `write`.
    @inline(__always)
    func setScalar(_ value: some Any, _ write: (CBORWriter) -> Void) throws {
        try expectItem(value)
        guard content == .nothing else { throw error(.twice, value) }
        write(out)
        content = .scalar
    }

    /// Lets `value` be the whole value. It gets this encoder, not one more: an Optional costs nothing.
    func encodeWhole<Value: Encodable>(_ value: Value) throws {
        try expectItem(value)
        guard content == .nothing else { throw error(.twice, value) }
        if let type = CBORDirectType(Value.self) {
            out.write(value, as: type)
            content = .scalar
        } else if let item = try CBORKnownType(Value.self)?.item(of: value) {
            out.write(item: item)
            content = .scalar
        } else {
            subject = Value.self
            try value.encode(to: self)
        }
    }
}

/// The end of a value.
extension CBORValueEncoder {
    /// Completes the bytes. A value that has written nothing becomes an empty map, as with the JSON encoder.
    func finish() throws {
        if let refused { throw error(refused, self) }
        try open?.finish()
        open = nil
        switch content {
        case .nothing: out.writeHead(.map, 0)
        case .scalar: break
        case .map: out.setHead(at: start, .map, count: count)
        case .array where isPairs && count.isMultiple(of: 2): out.setHead(at: start, .map, count: count / 2)
        case .array: out.setHead(at: start, .array, count: count)
        }
        end()
    }

    /// From here on nothing is taken: the bytes after this value are another's.
    private func end() {
        open?.end()
        open = nil
        phase = .refusing(.late)
    }

    /// Data will follow the nested container that is open, so it gets a separate writer from now on.
    private func setOpenAside(_ value: Any) throws {
        guard let open else { return }
        guard !open.isBusy else { throw error(.around, value) }
        let own = out.splitOff(from: open.start, for: open)
        open.move(to: own, by: open.start)
        self.open = nil
    }

    private var isBusy: Bool {
        if case .busy = phase { true } else { open?.isBusy ?? false }
    }

    private func move(to writer: CBORWriter, by distance: Int) {
        out = writer
        start -= distance
        open?.move(to: writer, by: distance)
    }
}
