// The channels and queues of this process by their memory.

import PreforkSystem
import Synchronization

/// One object for each memory: a handle that comes a second time, or comes back to where it was made, is the one that is
/// there. Only the kernel says which file it is.
///
/// Weak: what is not held is gone. A forked child inherits them.
enum SharedHandles {
    private struct Entry: Sendable {
        weak var object: (any AnyObject & Sendable)?
    }

    private static let entries = Mutex<[FileIdentity: Entry]>([:])

    /// - Parameter identity: if nil, no other process can get it.
    static func add(_ object: any AnyObject & Sendable, of identity: FileIdentity?) {
        guard let identity else { return }
        entries.withLock { $0[identity] = Entry(object: object) }
    }

    static func object(of identity: FileIdentity?) -> (any AnyObject & Sendable)? {
        guard let identity else { return nil }
        return entries.withLock { $0[identity]?.object }
    }

    /// Another thread may have opened the same one meanwhile.
    ///
    /// - Returns: the one that counts.
    static func addUnlessThere<Object: AnyObject & Sendable>(_ object: Object, of identity: FileIdentity?) -> Object {
        guard let identity else { return object }
        return entries.withLock { entries in
            if let known = entries[identity]?.object as? Object { return known }
            entries[identity] = Entry(object: object)
            return object
        }
    }

    /// From the end of an object.
    static func forgetDead(_ identity: FileIdentity?) {
        guard let identity else { return }
        entries.withLock { entries in
            if let entry = entries[identity], entry.object == nil { entries[identity] = nil }
        }
    }

    static var channels: [ChannelCore] {
        entries.withLock { entries in entries.values.compactMap { $0.object as? ChannelCore } }
    }
}
