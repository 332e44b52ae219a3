// The output of a child, which must never make its reader wait.

import CPrefork
import Glibc
import HostileC
import PreforkTestSupport
import Synchronization
import Testing

@testable import PreforkSystem

@Suite(.timeLimit(.minutes(1))) struct OutputPipeTests {
    private func write(_ text: String, to number: Int32) -> Int {
        let bytes = Array(text.utf8)
        return Glibc.write(number, bytes, bytes.count)
    }

    private func read(_ pipe: OutputPipe, atMost limit: Int = 100) throws -> (OutputPipe.Reading, String) {
        var buffer = [UInt8](repeating: 0, count: limit)
        let reading = try buffer.withUnsafeMutableBytes { try pipe.read(into: $0) }
        guard case .bytes(let count, _) = reading else { return (reading, "") }
        return (reading, String(decoding: buffer[..<count], as: UTF8.self))
    }

    @Test(arguments: OutputPipe.Kind.allCases)
    func `What was written is read in order, then nothing, then the end`(_ kind: OutputPipe.Kind) throws {
        let (pipe, writing) = try OutputPipe.make(kind)
        #expect(try read(pipe).0 == .nothing)
        #expect(write("one\ntwo\n", to: writing) == 8)
        #expect(try read(pipe, atMost: 4).1 == "one\n")
        #expect(try read(pipe).1 == "two\n")
        #expect(try read(pipe).0 == .nothing)
        _ = write("last", to: writing)
        close(writing)
        #expect(try read(pipe).1 == "last")
        #expect(try read(pipe).0 == .end)
    }

    @Test(arguments: OutputPipe.Kind.allCases)
    func `A writer has much room, and blocks`(_ kind: OutputPipe.Kind) throws {
        let (pipe, writing) = try OutputPipe.make(kind)
        defer { close(writing) }
        pipe.grow()
        #expect(fcntl(writing, F_GETFL) & O_NONBLOCK == 0)
        #expect(fcntl(writing, F_GETFD) & FD_CLOEXEC != 0 && fcntl(pipe.number, F_GETFD) & FD_CLOEXEC != 0)
        let block = [UInt8](repeating: 120, count: 16 << 10)
        var taken = 0
        while let count = try block.withUnsafeBytes({ try writeWithoutBlocking(to: writing, $0) }) { taken += count }
        // What an ordinary user gets at the least.
        #expect(taken >= 64 << 10, "\(taken) bytes")
        if getuid() == 0 { #expect(taken >= OutputPipe.capacity, "\(taken) bytes") }
    }

    @Test(arguments: OutputPipe.Kind.allCases)
    func `A writer without a reader gets EPIPE and does not wait`(_ kind: OutputPipe.Kind) throws {
        ignoreBrokenPipes()
        var (pipe, writing): (OutputPipe?, Int32) = try OutputPipe.make(kind)
        defer { close(writing) }
        _ = write("unread", to: writing)
        withExtendedLifetime(pipe) {}
        pipe = nil
        #expect(write("x", to: writing) == -1 && errno == EPIPE)
    }

    /// What the choice between the kinds is for. A pipe's reader waits for the writer's memory, O_NONBLOCK or not.
    @Test(arguments: OutputPipe.Kind.allCases)
    func `Slow memory of a writer makes only the reader of a pipe wait`(_ kind: OutputPipe.Kind) throws {
        let (pipe, writing) = try OutputPipe.make(kind)
        var number: Int32 = -1
        // Not every user and kernel has it.
        guard let page = hostile_slow_memory(&number) else {
            close(writing)
            return
        }
        // Sendable: an address, which only the kernel follows, and a number.
        nonisolated(unsafe) let memory = page
        let faults = number
        _ = write("before\n", to: writing)
        try startThread {
            _ = Glibc.write(writing, memory, 100)
            close(writing)
        }
        try #require(try Polling.waitUntilReadable([faults], until: .now + .seconds(20)))
        let isGiven = Flag()
        if kind == .pipe {
            try startThread {
                usleep(300_000)
                isGiven.value.store(true, ordering: .releasing)
                hostile_give_memory(memory, faults)
            }
        }
        let text = try read(pipe).1
        #expect(text.hasPrefix("before\n") && isGiven.value.load(ordering: .acquiring) == (kind == .pipe))
        if kind == .socket { hostile_give_memory(memory, faults) }
    }

    private final class Flag: Sendable {
        let value = Atomic<Bool>(false)
    }

    /// SO_PASSRIGHTS, which Linux has since 6.16.
    private func acceptDescriptors(_ pipe: OutputPipe) {
        var on: Int32 = 1
        setsockopt(pipe.number, SOL_SOCKET, 83, &on, 4)
    }

    private func send(_ text: String, with number: Int32, by socket: Int32) throws {
        let isTaken = try Array(text.utf8).withUnsafeBytes {
            try DescriptorPassing.send($0, passing: [number], to: socket)
        }
        #expect(isTaken)
    }

    @Test func `Descriptors that a writer sends are refused, or seen and not taken`() throws {
        let (pipe, writing) = try OutputPipe.make(.socket)
        defer { close(writing) }
        let file = open("/dev/null", O_RDONLY)
        defer { close(file) }
        do {
            try send("x", with: file, by: writing)
        } catch let error as SystemError {
            #expect(error.errno == .notPermitted)
        }
        acceptDescriptors(pipe)
        _ = write("before\n", to: writing)
        try send("with\n", with: file, by: writing)
        _ = write("after\n", to: writing)
        let before = entries("/proc/self/fd").count
        // The kernel shows bytes and descriptors in one call. Nothing of it is taken.
        for _ in 0..<3 { #expect(try read(pipe).0 == .descriptors) }
        #expect(entries("/proc/self/fd").count <= before + 8, "other tests open some; a flood would show")
    }

    /// By MSG_OOB, which an ordinary read skips unseen.
    @Test func `Descriptors beside an urgent byte are seen, too`() throws {
        let (pipe, writing) = try OutputPipe.make(.socket)
        defer { close(writing) }
        acceptDescriptors(pipe)
        _ = write("before\n", to: writing)
        var fd = open("/dev/null", O_RDONLY)
        defer { close(fd) }
        var byte: UInt8 = 33
        var control = [UInt64](repeating: 0, count: 3)
        let sent = control.withUnsafeMutableBytes { control -> Int in
            control.storeBytes(of: 20, toByteOffset: 0, as: Int.self)
            control.storeBytes(of: SOL_SOCKET, toByteOffset: 8, as: Int32.self)
            control.storeBytes(of: 1, toByteOffset: 12, as: Int32.self)  // SCM_RIGHTS
            control.storeBytes(of: fd, toByteOffset: 16, as: Int32.self)
            return withUnsafeMutablePointer(to: &byte) { byte in
                var part = iovec(iov_base: byte, iov_len: 1)
                return withUnsafeMutablePointer(to: &part) { part in
                    var message = msghdr()
                    message.msg_iov = part
                    message.msg_iovlen = 1
                    message.msg_control = control.baseAddress
                    message.msg_controllen = 24
                    return sendmsg(writing, &message, Int32(MSG_OOB))
                }
            }
        }
        guard sent == 1 else { return }  // A kernel without MSG_OOB here.
        fd += 0
        var seen: [OutputPipe.Reading] = []
        while true {
            let reading = try read(pipe).0
            seen.append(reading)
            guard case .bytes = reading else { break }
        }
        #expect(seen.last == .descriptors, "\(seen)")
    }

    /// The close of a socket with SO_LINGER that lies in the stream waits for 20 seconds.
    @Test func `A close does not wait for what a writer has sent`() throws {
        let listener = try Listener(.tcp("127.0.0.1", 0))
        let client = try Socket.open(for: listener.address)
        try? Socket.connect(client, to: listener.address)
        try Polling.waitUntilWritable(client)
        let block = [UInt8](repeating: 0, count: 1 << 16)
        while Glibc.send(client, block, block.count, Int32(MSG_DONTWAIT)) > 0 {}
        var long = linger(l_onoff: 1, l_linger: 20)
        setsockopt(client, SOL_SOCKET, SO_LINGER, &long, socklen_t(MemoryLayout<linger>.size))
        var (pipe, writing): (OutputPipe?, Int32) = try OutputPipe.make(.socket)
        acceptDescriptors(try #require(pipe))
        try send("x", with: client, by: writing)
        close(client)
        close(writing)
        let start = MonotonicInstant.now
        pipe = nil
        #expect(MonotonicInstant.now - start < .seconds(15))
    }
}
