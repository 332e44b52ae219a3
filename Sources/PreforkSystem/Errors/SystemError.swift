// A failed system call as a value: which call, on what, and why.

/// A system call that failed.
///
/// Every module above wraps or rethrows this error. It names the call, its errno and the object (a path, an address, a
/// process ID), so that one log line suffices to know what happened.
public struct SystemError: Error, Hashable, Sendable {
    /// The call as in its man page, for example `bind`.
    public let call: String
    /// Why it failed.
    public let errno: Errno
    /// What it was called on, for example `0.0.0.0:80` or `/run/app.sock`. Empty where the call has no object. As it
    /// is: `description` has it escaped and cut short.
    public let object: String

    package init(_ call: String, _ errno: Errno, on object: String = "") {
        self.call = call
        self.errno = errno
        self.object = object
    }
}

extension SystemError: CustomStringConvertible {
    public var description: String {
        object.isEmpty ? "\(call): \(errno)" : "\(call)(\(Escaping.brief(object))): \(errno)"
    }
}
