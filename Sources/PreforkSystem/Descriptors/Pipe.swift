// Pipes: made, sized, looked into.

import CPrefork
import Glibc

/// A pipe, both ends close-on-exec and non-blocking.
package func makePipe() throws(SystemError) -> (reading: Int32, writing: Int32) {
    var ends: [Int32] = [-1, -1]
    try systemCall("pipe2") { cprefork_pipe(&ends) }
    return (ends[0], ends[1])
}

/// A pipe, both ends close-on-exec. An end that is kept becomes non-blocking by itself: each has its own open file.
package func makeBlockingPipe() throws(SystemError) -> (reading: Int32, writing: Int32) {
    var ends: [Int32] = [-1, -1]
    try systemCall("pipe2") { cprefork_blocking_pipe(&ends) }
    return (ends[0], ends[1])
}

/// Whether the descriptor is a pipe's end.
package func isPipe(_ number: Int32) -> Bool {
    var status = stat()
    return fstat(number, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
}

/// How many bytes can be read now. Also 0 if that is unknown.
package func waitingByteCount(_ number: Int32) -> Int {
    var count: Int32 = 0
    return cprefork_waiting_bytes(number, &count) == 0 ? Int(count) : 0
}

/// Whether no process has the writing end of this pipe open any more (poll(2), POLLHUP).
package func isWriterGone(_ number: Int32) -> Bool {
    var status = pollfd(fd: number, events: 0, revents: 0)
    return poll(&status, 1, 0) == 1 && status.revents & Int16(POLLHUP) != 0
}

/// F_SETPIPE_SZ.
///
/// - Returns: false if the user's limits do not allow it. The pipe then stays as it is.
@discardableResult
package func setPipeCapacity(_ number: Int32, _ bytes: Int32) -> Bool {
    let setPipeSize: Int32 = 1031  // F_SETPIPE_SZ, hidden without _GNU_SOURCE
    return cprefork_fcntl(number, setPipeSize, bytes) >= 0
}
