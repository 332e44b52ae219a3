// Descriptors that a service manager opened before it started this process (sd_listen_fds(3)).

import Glibc

/// One descriptor of LISTEN_FDS.
package struct InheritedDescriptor: Hashable, Sendable {
    package var number: Int32
    /// FileDescriptorName= of the socket unit, or `unknown` if the manager gives no names.
    package var name: String
    /// What the previous image recorded about it, if that image had it from the manager and its workers have it.
    package var left: String?

    package init(number: Int32, name: String, left: String? = nil) {
        self.number = number
        self.name = name
        self.left = left
    }
}

/// Why inherited descriptors cannot be used.
public struct InheritedListenerError: Error, Hashable, Sendable {
    /// What is wrong, with the variable or the descriptor.
    public enum Code: Hashable, Sendable {
        /// A variable has a value that sd_listen_fds(3) does not allow.
        case badVariable(name: String, value: String)
        /// LISTEN_FDNAMES has another number of names than LISTEN_FDS has descriptors.
        case namesDoNotMatch(names: Int, descriptors: Int)
        /// The manager announced a descriptor that is not open: it was closed before, or the variable is wrong.
        case notOpen(descriptor: Int32, name: String)
        /// It is open, but not a listening stream socket: a FIFO or a datagram socket.
        case notListening(descriptor: Int32, name: String)
        /// A system call failed.
        case system(SystemError)
    }

    /// What is wrong. `description` says it in words.
    public let code: Code

    package init(_ code: Code) {
        self.code = code
    }
}

extension InheritedListenerError: CustomStringConvertible {
    public var description: String {
        switch code {
        case .badVariable(let name, let value): "\(name)=\(Escaping.brief(value)) makes no sense"
        case .namesDoNotMatch(let names, let descriptors):
            "LISTEN_FDNAMES has \(names) names for the \(descriptors) descriptors of LISTEN_FDS"
        case .notOpen(let number, let name): "descriptor \(number) (\(name)) of LISTEN_FDS is not open"
        case .notListening(let number, let name):
            "descriptor \(number) (\(name)) of LISTEN_FDS is not a listening stream socket"
        case .system(let error): "\(error)"
        }
    }
}

package enum InheritedDescriptors {
    /// SD_LISTEN_FDS_START.
    package static let first: Int32 = 3
    /// Sockets that the last image of this program had from its manager.
    static let handoverKind = "inherited socket"
    package static let variables = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"]

    /// What the variables announce to the process `pid`. The descriptors are not inspected.
    ///
    /// Empty, as in sd_listen_fds(3), when LISTEN_FDS or LISTEN_PID is not set and when LISTEN_PID is another process:
    /// a shell script between manager and server must end in `exec`.
    package static func parse(
        _ environment: [String: String], pid: Int32
    ) throws(InheritedListenerError) -> [InheritedDescriptor] {
        func bad(_ name: String) -> InheritedListenerError {
            InheritedListenerError(.badVariable(name: name, value: environment[name] ?? ""))
        }
        guard let owner = environment["LISTEN_PID"], let announced = environment["LISTEN_FDS"] else { return [] }
        guard let owner = Int32(owner), owner > 0 else { throw bad("LISTEN_PID") }
        guard owner == pid else { return [] }
        guard let count = Int32(announced), (1...largestCount).contains(count) else { throw bad("LISTEN_FDS") }
        var names = [String](repeating: "unknown", count: Int(count))
        if let text = environment["LISTEN_FDNAMES"] {
            let given = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard given.count == names.count else {
                throw InheritedListenerError(.namesDoNotMatch(names: given.count, descriptors: names.count))
            }
            names = given
        }
        return names.enumerated().map { InheritedDescriptor(number: first + Int32($0.offset), name: $0.element) }
    }

    /// A warning if the variables announce sockets to another process. If nil, they do not. With a shell or a
    /// container's init (tini, dumb-init) between manager and server, the server would silently bind its addresses
    /// itself, and clients of the manager's sockets would wait forever.
    package static func warning(_ environment: [String: String], pid: Int32) -> String? {
        guard let owner = environment["LISTEN_PID"], environment["LISTEN_FDS"] != nil, Int32(owner) != pid
        else { return nil }
        return "LISTEN_PID is \(owner) and this is process \(pid): the manager's sockets are not used (a shell or an "
            + "init in between must exec the server)"
    }

    /// More than any manager passes: a number beyond it must not become an allocation.
    private static let largestCount: Int32 = 65_536
}
