// Memory in which workers write samples of their own stacks, and their supervisor's orders to do so.

import CPrefork
import Glibc
import Synchronization

/// A sample of a stack. The supervisor trusts none of its numbers: they are shown, and never followed.
package struct StackSample: Equatable, Sendable {
    /// How many ticks of the timer it stands for: more than one where the kernel was late.
    package var weight: Int
    /// The program counter, then return addresses, innermost first.
    package var frames: [UInt64]

    package init(weight: Int, frames: [UInt64]) {
        self.weight = weight
        self.frames = frames
    }
}

/// Lanes of shared memory, one for each worker that is being sampled. Made before the first fork. Untouched pages take
/// no memory.
///
/// A worker samples itself: a timer of its processor time sends it a signal, whose handler walks the frame pointers and
/// writes into the lane that its supervisor has named. An idle worker is not woken. A worker could write to the lanes
/// of others, as to every word that all share, and so spoil their samples.
package final class ProfileLanes: Sendable {
    package static let count = 64
    package static let rates = 1...999
    package static let seconds = 1...3_600
    package static let frameLimit = Int(CPREFORK_PROFILE_FRAMES)
    package static let samplesInLane = Int(CPREFORK_PROFILE_SAMPLES)
    private static let laneSize = Int(CPREFORK_PROFILE_LANE_WORDS) * 8
    /// More ticks than a second has are not believed.
    private static let mostWeight: UInt64 = 1_024

    /// The last but three of the real-time signals. `StackDump.defaultSignal` is the one above it.
    package static var signal: Signal { Signal(rawValue: cprefork_real_time_signal(-3)) }

    private let mapping: SharedMapping

    package init() throws(SystemError) {
        mapping = try SharedMapping(byteCount: Self.count * Self.laneSize)
    }

    /// Proof: every offset is one of a lane's words within the mapping, zeroed by the kernel, eight-byte aligned, and
    /// only ever used as this atomic word, here and by the handler in C. The mapping lives as long as the object.
    private func word(_ lane: Int, _ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        // Lanes are the supervisor's own numbers.
        precondition((0..<Self.count).contains(lane), "profile lane \(lane)")
        return (mapping.base + lane * Self.laneSize + index * 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Any word, as a child may write it. For tests.
    func rawWord(_ lane: Int, _ index: Int) -> UnsafeMutablePointer<UInt64> {
        UnsafeMutableRawPointer(word(lane, index)).assumingMemoryBound(to: UInt64.self)
    }

    private func load(_ lane: Int, _ index: Int) -> UInt64 { word(lane, index).pointee.load(ordering: .relaxed) }

    /// Runs in a new child, before it starts threads: from now on it takes orders.
    package func install() throws(SystemError) {
        let signal = Self.signal
        try systemCall("sigaction", on: "\(signal)") {
            cprefork_install_profile(
                signal.rawValue, mapping.base.assumingMemoryBound(to: UInt64.self), UInt32(Self.count))
        }
    }

    /// Runs in the supervisor. Has a child sample itself for a time.
    ///
    /// - Returns: false if the child has no handler yet, or no more: the signal would be its end.
    package func begin(_ pid: Int32, lane: Int, rate: Int, seconds: Int) throws(SystemError) -> Bool {
        let status = (try? SmallFile.read("/proc/\(pid)/status", limit: 16_384)) ?? ""
        guard StackDump.catches(Self.signal, status: status) else { return false }
        word(lane, Int(CPREFORK_PROFILE_WRITTEN)).pointee.store(0, ordering: .relaxed)
        word(lane, Int(CPREFORK_PROFILE_REFUSED)).pointee.store(0, ordering: .relaxed)
        let order = cprefork_profile_order(
            lane: UInt32(clamping: lane), rate: UInt32(clamping: rate), seconds: UInt32(clamping: seconds))
        try systemCall("sigqueue", on: "process \(pid)") {
            cprefork_send_profile_order(pid, Self.signal.rawValue, order)
        }
        return true
    }

    /// Has a child that has begun stop. One that has ended meanwhile is no error.
    package func end(_ pid: Int32) {
        let status = (try? SmallFile.read("/proc/\(pid)/status", limit: 16_384)) ?? ""
        guard StackDump.catches(Self.signal, status: status) else { return }
        _ = cprefork_send_profile_order(pid, Self.signal.rawValue, cprefork_profile_order())
    }

    /// Why the kernel has refused the child's timer. Nil if it has not.
    package func refusal(_ lane: Int) -> Errno? {
        let number = load(lane, Int(CPREFORK_PROFILE_REFUSED))
        return number == 0 ? nil : Errno(rawValue: Int32(truncatingIfNeeded: number))
    }

    /// The samples since the last call, at most `samplesInLane`. Reads each word once: the child may write at any time.
    ///
    /// - Parameter position: how many samples of the lane are known. It becomes how many there are now.
    /// - Returns: the samples, and how many others were overwritten before they were read.
    package func read(_ lane: Int, from position: inout UInt64) -> (samples: [StackSample], lost: UInt64) {
        let written = word(lane, Int(CPREFORK_PROFILE_WRITTEN)).pointee.load(ordering: .acquiring)
        // A number that goes back is nonsense of the child's.
        guard written > position else {
            position = written
            return ([], 0)
        }
        let capacity = UInt64(Self.samplesInLane)
        let first = max(position, written &- min(written, capacity))
        var lost = first - position
        let samples = (first..<written).compactMap { sample(lane, $0 % capacity) }
        let after = word(lane, Int(CPREFORK_PROFILE_WRITTEN)).pointee.load(ordering: .acquiring)
        position = written
        // What the child has overwritten while it was read, one more for the sample that it writes now.
        let overwritten = after >= written ? max(0, Int(clamping: after &+ 1) - Int(clamping: first &+ capacity)) : 0
        let torn = min(overwritten, samples.count)
        lost &+= UInt64(torn)
        return (Array(samples.dropFirst(torn)), lost)
    }

    private func sample(_ lane: Int, _ number: UInt64) -> StackSample? {
        let start = Int(CPREFORK_PROFILE_SAMPLE_WORDS) * (1 + Int(number))
        let count = load(lane, start + Int(CPREFORK_PROFILE_COUNT))
        let weight = load(lane, start + Int(CPREFORK_PROFILE_WEIGHT))
        guard (1...UInt64(Self.frameLimit)).contains(count), (1...Self.mostWeight).contains(weight) else { return nil }
        return StackSample(
            weight: Int(weight),
            frames: (0..<Int(count)).map { load(lane, start + Int(CPREFORK_PROFILE_FIRST_FRAME) + $0) })
    }
}
