// errno as a type, and the one place where a system call's failure is turned into a thrown error.

import CPrefork
import Glibc

/// An error number of the kernel, with its symbolic name and text.
public struct Errno: RawRepresentable, Hashable, Sendable {
    public let rawValue: Int32

    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// The calling thread's errno. Read it before any other call.
    package static var current: Errno { Errno(rawValue: Glibc.errno) }

    /// The symbolic name of errno(3), for example `EADDRINUSE`.
    public var name: String {
        guard let name = cprefork_errno_name(rawValue) else { return "errno \(rawValue)" }
        return String(cString: name)
    }
}

extension Errno: CustomStringConvertible {
    /// Text and symbolic name: `Address already in use (EADDRINUSE)`.
    public var description: String {
        guard let text = cprefork_errno_text(rawValue) else { return name }
        return "\(String(cString: text)) (\(name))"
    }
}

extension Errno {
    /// accept(2) reports what is wrong with the connection that was next, not with the listener: "treat them like
    /// EAGAIN by retrying".
    package var isOfOneConnection: Bool {
        [ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH]
            .contains(rawValue)
    }

    package static let interrupted = Errno(rawValue: EINTR)
    package static let wouldBlock = Errno(rawValue: EAGAIN)
    package static let inProgress = Errno(rawValue: EINPROGRESS)
    package static let brokenPipe = Errno(rawValue: EPIPE)
    package static let permissionDenied = Errno(rawValue: EACCES)
    package static let connectionReset = Errno(rawValue: ECONNRESET)
    package static let connectionRefused = Errno(rawValue: ECONNREFUSED)
    package static let addressInUse = Errno(rawValue: EADDRINUSE)
    package static let addressNotAvailable = Errno(rawValue: EADDRNOTAVAIL)
    package static let familyNotSupported = Errno(rawValue: EAFNOSUPPORT)
    package static let notPermitted = Errno(rawValue: EPERM)
    package static let noEntry = Errno(rawValue: ENOENT)
    package static let notDirectory = Errno(rawValue: ENOTDIR)
    package static let tooManyLinks = Errno(rawValue: ELOOP)
    package static let exists = Errno(rawValue: EEXIST)
    package static let crossDevice = Errno(rawValue: EXDEV)
    package static let noDeviceOrAddress = Errno(rawValue: ENXIO)
    package static let inputOutput = Errno(rawValue: EIO)
    package static let badAddress = Errno(rawValue: EFAULT)
    package static let textFileBusy = Errno(rawValue: ETXTBSY)
    package static let busy = Errno(rawValue: EBUSY)
    package static let timedOut = Errno(rawValue: ETIMEDOUT)
    package static let noProcess = Errno(rawValue: ESRCH)
    package static let noChild = Errno(rawValue: ECHILD)
    package static let badDescriptor = Errno(rawValue: EBADF)
    package static let invalidArgument = Errno(rawValue: EINVAL)
    package static let nameTooLong = Errno(rawValue: ENAMETOOLONG)
    package static let notSocket = Errno(rawValue: ENOTSOCK)
    package static let notConnected = Errno(rawValue: ENOTCONN)
    package static let tooManyOpenFiles = Errno(rawValue: EMFILE)
    package static let notSupported = Errno(rawValue: EOPNOTSUPP)
    package static let noSystemCall = Errno(rawValue: ENOSYS)
    package static let tooManyReferences = Errno(rawValue: ETOOMANYREFS)
    package static let noBufferSpace = Errno(rawValue: ENOBUFS)
    package static let noMemory = Errno(rawValue: ENOMEM)
    package static let fileTooLarge = Errno(rawValue: EFBIG)
    package static let again = Errno(rawValue: EAGAIN)
}

/// Runs a system call, once more for every EINTR, and throws its errno as a `SystemError`.
///
/// - Parameters:
///   - name: the call's name for the error.
///   - object: what the call acts on. Evaluated only when the call fails.
@discardableResult
@inline(__always)
package func systemCall<Result: SignedInteger>(
    _ name: StaticString, on object: @autoclosure () -> String = "", _ body: () -> Result
) throws(SystemError) -> Result {
    while true {
        let result = body()
        if result != -1 { return result }
        let errno = Errno.current
        if errno != .interrupted { throw SystemError("\(name)", errno, on: object()) }
    }
}
