// The errors of a store's operations.

public import PreforkSystem

/// An operation on a `SharedStore` failed. Nothing was changed by it.
public struct StoreError: Error, Equatable, Sendable {
    /// What went wrong.
    public enum Code: Hashable, Sendable {
        /// A delete that had to report a missing key did not find the key.
        case missingKey
        /// Keys have 1 to `limit` bytes of UTF-8.
        case badKey(bytes: Int, limit: Int)
        /// The value has more bytes than a value can have.
        case valueTooLarge(bytes: Int, limit: Int)
        /// As many entries as the store was made for.
        case fullOfEntries(limit: Int)
        /// No room for so many bytes more: `free` are left of the store's capacity, of which a value needs whole
        /// blocks.
        case full(needed: Int, free: Int)
        /// The key's value is of another type than the operation needs.
        case mismatch(ValueMismatch)
        /// An increment that would leave the range of Int64.
        case overflow
        /// A lock was not available in time: its holder is stopped, or the machine is overloaded. Try again.
        case busy
        /// The shared memory holds what no process of this package has written, for example over a lock. Nothing has
        /// happened. What was damaged is repaired or given up by the next write, and counted in `stats.damages`.
        case corrupt(String)
        /// A step with nothing in it, with more than `AtomicStep.maximumKeys` keys, or with two changes of one key.
        case badStep(String)
        /// An expiry that is not above zero, or an invalid capacity.
        case badArgument(String)
        /// A descriptor that is not a store's, or one of another version of this package.
        case notAStore(String)
        /// A store of that name is registered.
        case duplicateName(String)
        /// No store of that name is registered.
        case unknownName(String)
        /// As many names as the processes of a service can share are taken.
        case tooManyNames(limit: Int)
        /// A message of more bytes than the publish log takes.
        case messageTooLarge(bytes: Int, limit: Int)
        /// The store would not fit into the memory that this process's control group has left, `limit` bytes in all:
        /// filling it would make the kernel kill processes of the group, including the supervisor.
        case memoryLimit(needed: Int, limit: Int, group: String)
        /// A system call failed.
        case system(SystemError)
    }

    /// What went wrong.
    public var code: Code { storage.code }
    /// The key or channel in question. Empty if there is no key. Never a value.
    public var key: String { storage.key }

    /// One pointer: an error of many words, though it is never thrown, would make every fast path pay for its room.
    private let storage: Storage

    private final class Storage: Sendable {
        let code: Code
        let key: String

        init(_ code: Code, _ key: String) {
            self.code = code
            self.key = key
        }
    }

    package init(_ code: Code, key: String = "") {
        storage = Storage(code, key)
    }

    public static func == (a: StoreError, b: StoreError) -> Bool {
        a.code == b.code && a.key == b.key
    }

    package init(_ error: SystemError) {
        self.init(.system(error))
    }
}

extension StoreError: CustomStringConvertible {
    public var description: String {
        let text =
            switch code {
            case .missingKey: "no such key"
            case .badKey(let bytes, let limit): "a key of \(bytes) bytes is not within 1 to \(limit) bytes"
            case .valueTooLarge(let bytes, let limit): "a value of \(bytes) bytes exceeds the limit of \(limit)"
            case .fullOfEntries(let limit): "the store is full: \(limit) entries"
            case .full(let needed, let free): "the store is full: \(needed) bytes needed, \(free) free"
            case .mismatch(let mismatch): "\(mismatch)"
            case .overflow: "the sum does not fit into an Int64"
            case .busy: "could not take a lock in time"
            case .corrupt(let what): "damaged shared memory: \(what)"
            case .badStep(let reason): "not a step: \(reason)"
            case .badArgument(let reason): reason
            case .notAStore(let reason): "not a store: \(reason)"
            case .duplicateName(let name): "a store of the name \(Escaping.brief(name)) is registered"
            case .unknownName(let name): "no store of the name \(Escaping.brief(name)) is registered"
            case .tooManyNames(let limit): "\(limit) names are taken"
            case .messageTooLarge(let bytes, let limit): "a message of \(bytes) bytes exceeds the limit of \(limit)"
            case .memoryLimit(let needed, let limit, let group):
                "a store of \(needed) bytes does not fit into the memory limit of \(group), \(limit) bytes"
            case .system(let error): "\(error)"
            }
        return key.isEmpty ? text : "\(Escaping.brief(key)): \(text)"
    }
}
