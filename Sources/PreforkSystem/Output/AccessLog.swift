// The access log of this process: the file to which lines about served requests go.

import CPrefork
import Glibc
import Synchronization

/// Where a process that serves requests writes a line for each (`PREFORK_ACCESS_LOG`).
///
/// The supervisor opens the file before workers give up rights. A worker's descriptor is open for appending only, and
/// keeps its number: after the supervisor has reopened the log, the new file takes the old one's place.
package enum AccessLog {
    /// How a line is written.
    package enum Form: UInt8, Sendable {
        /// The combined format of Apache httpd and nginx.
        case combined
        /// A JSON object.
        case json
    }

    private static let number = Atomic<Int32>(-1)
    private static let code = Atomic<UInt8>(0)
    /// A regular file never makes its writer wait for long.
    private static let isRegular = Atomic<Bool>(false)
    /// Lines since the last write that succeeded.
    private static let lost = Atomic<UInt64>(0)

    /// `ForkCount` of the process that has the descriptor. A child of it has closed its copy, and may have another file
    /// under that number.
    private static let owner = Atomic<UInt64>(0)

    /// The descriptor. If nil, this process has none.
    private static var descriptor: Int32? {
        owner.load(ordering: .relaxed) == ForkCount.current ? number.load(ordering: .relaxed) : nil
    }

    /// If nil, this process writes no access log.
    package static var form: Form? {
        descriptor == nil ? nil : Form(rawValue: code.load(ordering: .relaxed))
    }

    /// - Parameter descriptor: stays its owner's, and must stay open.
    package static func begin(on descriptor: Int32, _ form: Form) {
        code.store(form.rawValue, ordering: .relaxed)
        isRegular.store(FileStatus(of: descriptor)?.kind == .regular, ordering: .relaxed)
        number.store(descriptor, ordering: .relaxed)
        owner.store(ForkCount.current, ordering: .relaxed)
    }

    /// Lines go to another file from now on. A line that is being written goes to one of the two as a whole.
    ///
    /// - Parameter file: stays the caller's.
    /// - Throws: dup3(2)'s error. The old file is then still in use.
    package static func replace(by file: Int32) throws(SystemError) {
        guard let target = descriptor else { return }
        try systemCall("dup3", on: "the access log") { cprefork_replace(file, target) }
        isRegular.store(FileStatus(of: target)?.kind == .regular, ordering: .relaxed)
    }

    /// One write(2) of whole lines, in order with those of other processes (O_APPEND).
    ///
    /// It does not wait: a regular file never does for long, and of other files only what goes at once is written.
    /// Lines that cannot be written are lost. Standard error says so, then how many.
    ///
    /// - Parameter count: how many lines there are.
    package static func append(_ bytes: UnsafeRawBufferPointer, count: Int = 1) {
        guard let target = descriptor, !bytes.isEmpty else { return }
        let reason: Errno?
        do throws(SystemError) {
            let isRegular = isRegular.load(ordering: .relaxed)
            let written = try isRegular ? writeBytes(to: target, bytes) : writeWithoutBlocking(to: target, bytes)
            reason = written == nil ? .wouldBlock : written == bytes.count ? nil : Errno(rawValue: ENOSPC)
        } catch {
            reason = error.errno
        }
        if let reason {
            lost.wrappingAdd(UInt64(count), ordering: .relaxed)
            StandardErrorLines.say("error", "the access log cannot be written: \(reason)", by: "access log")
        } else if lost.load(ordering: .relaxed) != 0 {
            let count = lost.exchange(0, ordering: .relaxed)
            let what = count == 1 ? "1 line of the access log was" : "\(count) lines of the access log were"
            StandardErrorLines.say("warning", "\(what) lost", by: "access log lost")
        }
    }
}

/// How a worker hears that the supervisor has reopened the access log: the new file comes through a pair of sockets.
package enum AccessLogNews {
    private static let socket = Atomic<Int32>(-1)

    /// `ForkCount` of the process that has the socket and does not watch it yet.
    private static let unwatched = Atomic<UInt64>(0)

    /// In a new worker.
    package static func listen(at number: Int32) {
        socket.store(number, ordering: .relaxed)
        unwatched.store(ForkCount.current, ordering: .relaxed)
    }

    /// The socket, once. If nil, there is none, or another caller has it.
    package static func descriptorToWatch() -> Int32? {
        unwatched.exchange(0, ordering: .relaxed) == ForkCount.current ? socket.load(ordering: .relaxed) : nil
    }

    /// Takes every file that has come, and uses the last.
    ///
    /// - Returns: false when no more can come.
    package static func take() -> Bool {
        let number = socket.load(ordering: .relaxed)
        if number < 0 { return false }
        var word: UInt64 = 0
        while true {
            do throws(SystemError) {
                let packet = try withUnsafeMutableBytes(of: &word) { (bytes) throws(SystemError) in
                    try DescriptorPassing.receive(into: bytes, from: number)
                }
                guard let packet else { return true }
                if packet.byteCount == 0 { return false }
                defer { closeDescriptors(packet.descriptors) }
                if let file = packet.descriptors.last { try AccessLog.replace(by: file) }
            } catch {
                StandardErrorLines.say("error", "the access log goes on in its old file: \(error)", by: "access log")
                return error.errno != .badDescriptor
            }
        }
    }
}
