// Processes of a scenario: children that run a body on a loop of their own, and ways to end them.

import Prefork
import PreforkSystem
import Synchronization

/// Forks a child that runs `body` on a new loop and exits with 0, or with 1 and the error on standard output.
func child(_ body: @escaping @Sendable () async throws -> Void) throws -> Int32 {
    let pid = fork()
    guard pid == 0 else { return pid }
    onLoop(body)
    _exit(0)
}

/// Forks a child without a loop.
func plainChild(_ body: () throws -> Void) -> Int32 {
    let pid = fork()
    guard pid == 0 else { return pid }
    do { try body() } catch { fail(error) }
    _exit(0)
}

/// Runs `body` on a new loop on this thread.
func onLoop(_ body: @escaping @Sendable () async throws -> Void) {
    do { try EventLoop().run(body) } catch { fail(error) }
}

func fail(_ error: any Error) -> Never {
    say("error: \(error)")
    _exit(1)
}

func require(_ condition: Bool, _ text: @autoclosure () -> String) {
    if condition { return }
    say("wrong: \(text())")
    _exit(2)
}

/// Kills a child and waits for its end.
func end(_ pid: Int32, _ signal: Int32 = SIGKILL) {
    kill(pid, signal)
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    if signal == SIGKILL { return }
    require(status == 0, "child \(pid) ended with \(status)")
}

/// Waits for a child that ends by itself.
func join(_ pid: Int32) {
    end(pid, 0)
}

/// The code of the channel's error that `body` throws, as text.
func code(_ body: () async throws -> Void) async -> String {
    do {
        try await body()
        return "no error"
    } catch let error as ChannelError {
        return "\(error.code)"
    } catch {
        return "\(error)"
    }
}

/// Words that all processes of a scenario share.
final class SharedWords: Sendable {
    private let mapping: SharedMapping

    init() throws {
        mapping = try SharedMapping(byteCount: 4096)
    }

    subscript(index: Int) -> Int {
        get { word(index).pointee.load(ordering: .sequentiallyConsistent) }
        set { word(index).pointee.store(newValue, ordering: .sequentiallyConsistent) }
    }

    private func word(_ index: Int) -> UnsafeMutablePointer<Atomic<Int>> {
        (mapping.base + index * 8).assumingMemoryBound(to: Atomic<Int>.self)
    }
}

func argument(_ index: Int, default standard: Int) -> Int {
    CommandLine.arguments.dropFirst(2 + index).first.flatMap { Int($0) } ?? standard
}
