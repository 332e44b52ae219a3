// Children of a scenario, their output and their ends.

@_exported import Glibc
import Prefork
import PreforkSystem

/// One write for each line, so that lines of several processes do not mix.
func say(_ text: String) {
    let line = Array("\(text)\n".utf8)
    _ = write(STDOUT_FILENO, line, line.count)
}

/// Forks a child that runs `body` and leaves; its errors are lines.
func child(_ body: () throws -> Void) throws -> Int32 {
    guard case .parent(let pid) = try forkProcess() else {
        do {
            try body()
            _exit(0)
        } catch {
            say("error in child: \(error)")
            _exit(75)
        }
    }
    return pid
}

/// - Returns: the exit code, or minus the signal.
@discardableResult
func waitForEnd(_ pid: Int32) -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) != pid {}
    return status & 0x7F == 0 ? (status >> 8) & 0xFF : -(status & 0x7F)
}

func killAndReap(_ pid: Int32) {
    kill(pid, SIGKILL)
    waitForEnd(pid)
}

/// Waits for what another process does; the test that runs the scenario bounds it.
func until(_ condition: () -> Bool) {
    while !condition() { usleep(500) }
}

/// Whether a process sleeps in the kernel, or is stopped ("T").
func state(of pid: Int32) -> Character {
    guard let file = fopen("/proc/\(pid)/stat", "r") else { return "X" }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 512)
    let count = fread(&bytes, 1, 512, file)
    return String(decoding: bytes[..<count], as: UTF8.self).split(separator: ")").last?.dropFirst().first ?? "X"
}

/// Stops a process, and returns when it is.
func stop(_ pid: Int32) {
    kill(pid, SIGSTOP)
    until { state(of: pid) == "T" }
}

/// Words that all processes of a scenario share. Kept mapped for ever.
func sharedBytes(_ count: Int) throws -> UnsafeMutableRawPointer {
    final class Keeper {
        let mapping: SharedMapping
        init(_ mapping: consuming SharedMapping) { self.mapping = mapping }
    }
    let keeper = Keeper(try SharedMapping(byteCount: count))
    _ = Unmanaged.passRetained(keeper)
    return keeper.mapping.base
}

/// One message, by one of the ways there are.
func receive<Message>(_ queue: WorkQueue<Message>, _ way: String) throws -> Delivery<Message> {
    switch way {
    case "async": try EventLoop().run { try await queue.receive() }
    default: try queue.receiveBlocking()
    }
}
