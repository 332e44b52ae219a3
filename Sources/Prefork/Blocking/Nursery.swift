// The process that forks helpers: one thread for good, no loop, no connection.

import PreforkSupervisor
import PreforkSystem
import Synchronization

/// A child of this process that forks a helper for each socket that it is sent. It ends when this process ends.
final class Nursery: Sendable {
    /// The functions that it knows.
    let names: Set<String>
    private let control: Descriptor
    private let child: ChildProcess

    private struct State {
        var process: UInt64 = 0
        var nursery: Nursery?
    }

    private static let state = Mutex(State())

    /// Before a worker or a managed process starts anything: later it may have threads. Without functions there is no
    /// nursery.
    static func prepare() {
        guard !HelperFunctions.isEmpty else { return }
        do {
            _ = try current()
        } catch {
            StandardErrorLines.say("error", "blocking functions will fail: \(error)", by: "nursery")
        }
    }

    /// - Throws: `.multithreaded`, `.system`.
    static func current() throws(HelperError) -> Nursery {
        let present = state.withLock { $0.process == ForkCount.current ? $0.nursery : nil }
        if let present, !present.child.isOver { return present }
        let threads = threadCount()
        guard threads == 1 else { throw HelperError(.multithreaded(threads: threads)) }
        let new: Nursery
        // Not within the lock, which would stay locked in the children. There is one thread.
        do throws(SystemError) { new = try Nursery() } catch { throw HelperError(.system(error)) }
        state.withLock { state in
            // The parent's is not freed: its descriptor is not this process's.
            if let before = state.nursery, present == nil { _ = Unmanaged.passRetained(before) }
            state = State(process: ForkCount.current, nursery: new)
        }
        return new
    }

    private init() throws(SystemError) {
        names = HelperFunctions.names
        let ends = try PacketPair.makeOneWay()
        control = Descriptor(owning: ends.sending)
        let receiving = Descriptor(owning: ends.receiving)
        let parent = CurrentProcess.pid
        // A listener would keep its port, and a doorbell speaks for the worker.
        let kept: Set<DescriptorRole> = [.standardStream, .program, .store]
        let others = DescriptorHolders.all.filter { !kept.contains($0.role) }.map(\.number)
        let closed = unbrokenRuns(of: others + [ends.sending])
        let mask = SignalMask.block(.all)
        defer { SignalMask.restore(mask) }
        switch try forkProcess() {
        case .parent(let pid): child = ChildProcess(pid: pid)
        case .child:
            guard becomeChild(of: parent, closing: closed) else { exitChild(code: 0) }
            NurseryMain(control: receiving.number).run()
        }
    }

    /// Has a helper forked.
    ///
    /// - Returns: the caller's end of the helper's socket, which the caller owns.
    func begin() throws(SystemError) -> Int32 {
        let (own, other) = try Socket.pair()
        defer { closeDescriptor(other) }
        do throws(SystemError) {
            let isSent = try withUnsafeBytes(of: UInt8(1)) { bytes throws(SystemError) in
                try DescriptorPassing.send(bytes, passing: [other], to: control.number)
            }
            guard isSent else { throw SystemError("sendmsg", .wouldBlock, on: "the process that forks helpers") }
            return own
        } catch {
            closeDescriptor(own)
            throw error
        }
    }
}

/// The life of that process. All signals are blocked, for good: it ends with its parent.
private struct NurseryMain {
    let control: Int32

    private struct Helper {
        let child: ChildProcess
        let socket: Int32
    }

    func run() -> Never {
        var helpers: [Int32: Helper] = [:]
        while true {
            let ends = helpers.values.compactMap(\.child.pidfdNumber)
            guard let found = try? Polling.wait(readable: [control] + ends, closed: helpers.values.map(\.socket)) else {
                exitChild(code: 71)
            }
            for helper in helpers.values {
                if found.contains(helper.socket) { try? helper.child.send(.kill) }
                if let exit = helper.child.reapOrLose() { end(helper, exit, &helpers) }
            }
            if found.contains(control) { takeCall(&helpers) }
        }
    }

    /// - Parameter found: a call, or the end of the parent.
    private func takeCall(_ helpers: inout [Int32: Helper]) {
        var word: [UInt8] = [0]
        let packet = word.withUnsafeMutableBytes { try? DescriptorPassing.receive(into: $0, from: control) }
        guard let packet, packet.byteCount > 0 else {
            // Killed, too, by the signal at this process's end.
            exitChild(code: 0)
        }
        guard let socket = packet.descriptors.first else { return }
        let pid = CurrentProcess.pid
        let others = helpers.values.map(\.socket) + helpers.values.compactMap(\.child.pidfdNumber) + [control]
        let closed = unbrokenRuns(of: others)
        switch try? forkProcess() {
        case .parent(let child): helpers[child] = Helper(child: ChildProcess(pid: child), socket: socket)
        case .child:
            guard becomeChild(of: pid, closing: closed) else { exitChild(code: 0) }
            HelperMain(socket: socket).run()
        case nil: closeDescriptor(socket)
        }
    }

    private func end(_ helper: Helper, _ exit: ProcessExit, _ helpers: inout [Int32: Helper]) {
        helpers[helper.child.pid] = nil
        let code = exit.status.returnCode ?? 255
        let bytes = HelperMessage.head(HelperMessage.end, 4) + HelperMessage.bytes(UInt64(UInt32(bitPattern: code))).prefix(4)
        // Only the first message counts. A caller that does not read it learns that the socket has ended.
        _ = try? bytes.withUnsafeBytes { try sendBytes(to: helper.socket, $0) }
        closeDescriptor(helper.socket)
    }
}

/// The life of a helper.
private struct HelperMain {
    let socket: Int32

    func run() -> Never {
        SignalMask.unblockCrashes()
        do {
            let head = try read(16)
            let (name, count) = (HelperMessage.number(head[..<8]), HelperMessage.number(head[8...]))
            guard name <= UInt64(HelperMessage.mostBytes), count <= UInt64(HelperMessage.mostBytes) else { exitChild(code: 70) }
            let text = String(decoding: try read(Int(name)), as: UTF8.self)
            let input = try read(Int(count))
            let answer: [UInt8]
            do {
                let result = try HelperFunctions.body(text)(input)
                answer = HelperMessage.head(HelperMessage.result, result.count) + result
            } catch {
                let text = Array("\(error)".utf8.prefix(65_536))
                answer = HelperMessage.head(HelperMessage.failure, text.count) + text
            }
            try write(answer)
        } catch {
            // The caller has gone.
            exitChild(code: 0)
        }
        exitChild(code: 0)
    }

    private struct Gone: Error {}

    private func read(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let outcome = try bytes.withUnsafeMutableBytes {
                try readBytes(from: socket, into: UnsafeMutableRawBufferPointer(rebasing: $0[done...]))
            }
            switch outcome {
            case .bytes(let more): done += more
            case .end: throw Gone()
            case .wouldBlock: _ = try Polling.waitUntilReadable([socket], until: nil)
            }
        }
        return bytes
    }

    private func write(_ bytes: [UInt8]) throws {
        var done = 0
        while done < bytes.count {
            let sent = try bytes.withUnsafeBytes { try sendBytes(to: socket, UnsafeRawBufferPointer(rebasing: $0[done...])) }
            if let sent { done += sent } else { try Polling.waitUntilWritable(socket) }
        }
    }
}
