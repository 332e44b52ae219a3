// The packet that belongs to a record: its descriptors and its memory file.

import PreforkStore
import PreforkSystem

/// A payload, borrowed from the ring or owned.
@usableFromInline
enum TakenPayload {
    /// Valid during the call that has it.
    case borrowed(UnsafeRawBufferPointer)
    /// To be kept without another copy, if the message is just bytes.
    case owned([UInt8])

    init(_ bytes: [UInt8]) {
        self = .owned(bytes)
    }

    @inlinable
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        switch self {
        case .borrowed(let bytes): try body(bytes)
        case .owned(let bytes): try bytes.withUnsafeBytes(body)
        }
    }

    var array: [UInt8] {
        switch self {
        case .borrowed(let bytes): Array(bytes)
        case .owned(let bytes): bytes
        }
    }
}

extension ChannelEnd {
    /// Fetches what travels beside the ring for the record that `consumer` has just read, and calls `body` with the
    /// whole payload and the descriptors.
    ///
    /// - Returns: nil if `body` was called, else why it was not. Without a descriptor left the record and its packet
    ///   stay where they are.
    func takeOutOfBand(
        _ header: ByteRingHeader, _ state: inout ReceivingState,
        _ body: (ByteRingHeader, TakenPayload, [Int32]) -> Void
    ) -> TakeStep? {
        takeOutOfBand(header, state.consumer, .messages, mayBeMissing: state.mayBeHalfTaken, body)
    }

    /// - Parameter mayBeMissing: then a packet that is not there is no corruption.
    func takeOutOfBand(
        _ header: ByteRingHeader, _ consumer: ByteRingConsumer, _ lane: ChannelMemory.Lane,
        mayBeMissing: Bool,
        _ body: (ByteRingHeader, TakenPayload, [Int32]) -> Void
    ) -> TakeStep? {
        let inline = consumer.withPayload(of: header) { Array($0) }
        guard let reference = inline.withUnsafeBytes({ OutOfBandReference($0) }) else {
            return .failed(error(.corrupt("a reference of \(header.length) bytes")))
        }
        guard reference.luggageCount <= header.descriptorCount else {
            return .failed(error(.corrupt("\(reference.luggageCount) descriptors of \(header.descriptorCount)")))
        }
        var header = header
        header.luggageCount = reference.luggageCount
        let expected = header.descriptorCount + (header.isByFile ? 1 : 0)
        guard expected <= DescriptorPassing.limit else {
            return .failed(error(.corrupt("\(header.descriptorCount) descriptors")))
        }
        guard reference.fileByteCount <= memory.options.messageLimit else {
            return .failed(error(.corrupt("a message of \(reference.fileByteCount) bytes")))
        }
        do throws(SystemError) {
            let socket = memory.socket(lane, of: side)
            try DescriptorPassing.checkRoom(for: expected, by: socket)
            guard let descriptors = try packet(reference.packet, from: socket, looksFirst: mayBeMissing) else {
                return mayBeMissing ? .halfTaken : .failed(error(.corrupt("no packet \(reference.packet)")))
            }
            guard descriptors.count == expected else {
                for descriptor in descriptors { closeForeignDescriptor(descriptor) }
                return .failed(error(.corrupt("\(descriptors.count) descriptors, not \(expected)")))
            }
            guard header.isByFile else {
                body(header, TakenPayload(Array(inline.dropFirst(OutOfBandReference.byteCount))), descriptors)
                return nil
            }
            return try readFile(header, reference, lane, descriptors, body)
        } catch {
            return .failed(ChannelError(.system(error), channel: memory.name))
        }
    }

    private func readFile(
        _ header: ByteRingHeader, _ reference: OutOfBandReference, _ lane: ChannelMemory.Lane, _ descriptors: [Int32],
        _ body: (ByteRingHeader, TakenPayload, [Int32]) -> Void
    ) throws(SystemError) -> TakeStep? {
        let byteCount = reference.fileByteCount
        let rest = DescriptorSet()
        for descriptor in descriptors.dropFirst() { rest.add(descriptor) }
        guard let bytes = try PayloadFile.read(Descriptor(owning: descriptors[0]), byteCount: byteCount) else {
            return .failed(error(.corrupt("a memory file that has not \(byteCount) bytes")))
        }
        if let slot = reference.slot { memory.giveBack(slot, packet: reference.packet, lane, from: side.other) }
        rest.releaseAll()
        body(header, TakenPayload(bytes), Array(descriptors.dropFirst()))
        return nil
    }

    /// More packets than a socket holds. One look drops no more of them, however fast another process sends.
    private static let mostStrayPackets = 1_024

    /// The descriptors of packet `number`. Those with lower numbers are what killed senders have left: dropped.
    ///
    /// - Parameter looksFirst: leaves a packet of another record where it is, for this process may die, too, before
    ///   that record's turn.
    /// - Returns: nil when that packet is not there.
    private func packet(_ number: UInt64, from socket: Int32, looksFirst: Bool) throws(SystemError) -> [Int32]? {
        for _ in 0..<Self.mostStrayPackets {
            if looksFirst {
                guard let next = try DescriptorPassing.peek(at: socket), next <= number else { return nil }
            }
            var word: UInt64 = 0
            let received = try withUnsafeMutableBytes(of: &word) { (bytes) throws(SystemError) in
                try DescriptorPassing.receive(into: bytes, from: socket)
            }
            guard let received else { return nil }
            if received.byteCount == 8, word == number, !received.isTruncated { return received.descriptors }
            for descriptor in received.descriptors { closeForeignDescriptor(descriptor) }
            // A packet of no bytes is the end of a socket that a process has shut down. It would be read again and
            // again.
            if received.byteCount != 8 || word >= number { return nil }
        }
        return nil
    }

    /// Throws away everything that waits in a lane, in the ring and beside it. Runs under the header's lock.
    ///
    /// The packets first: when the ring is empty, the sender assumes that the socket is, too. Only packets of discarded
    /// records are read: the sender may be about to write the record of the next one.
    func skipAll(_ consumer: inout ByteRingConsumer, _ lane: ChannelMemory.Lane) {
        var last: UInt64 = 0
        let start = consumer.head
        var look = consumer.look()
        while case .record(let header) = look {
            // More than the ring holds was not there at first: its writer minds no limit.
            guard consumer.head &- start <= UInt64(consumer.ring.capacity) else {
                look = .corrupt
                break
            }
            if header.isByFile || header.descriptorCount > 0 {
                last = consumer.withPayload(of: header) { OutOfBandReference($0)?.packet } ?? last
            }
            consumer.pass(header)
            look = consumer.look()
        }
        let socket = memory.socket(lane, of: side)
        for _ in 0..<Self.mostStrayPackets {
            guard let next = try? DescriptorPassing.peek(at: socket), next <= last else { break }
            var word: UInt64 = 0
            let received = withUnsafeMutableBytes(of: &word) { try? DescriptorPassing.receive(into: $0, from: socket) }
            guard let received else { break }
            for descriptor in received.descriptors { closeForeignDescriptor(descriptor) }
        }
        if look == .corrupt { consumer.skipAll() } else { consumer.free() }
    }
}
