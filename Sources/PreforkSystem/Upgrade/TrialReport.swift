// The report of an upgrade's trial run to the running program.

import Glibc
import Synchronization

/// Memory that a new program writes in its trial run and the previous image reads after the trial run has ended. The
/// trial run has the supervisor's privileges. Still, the supervisor reads no more than this memory of it, and no other
/// process has it.
package final class TrialReport {
    package static let handoverKind = "trial report"
    private static let byteCount = 1 << 16

    package enum Entry: Equatable, Sendable {
        /// Why the new program cannot take over from here.
        case refusal(String)
        /// What the new program says of itself.
        case report(String)
    }

    private let mapping: SharedMapping
    private var file: Int32

    package init() throws(SystemError) {
        let file = try MemoryFile(name: "prefork-trial", byteCount: Self.byteCount)
        mapping = try SharedMapping(file, byteCount: Self.byteCount)
        // Workers that are forked while a trial runs do not have it.
        try mapping.keepFromChildren()
        self.file = try duplicate(file.descriptor.number)
    }

    deinit { closeFile() }

    /// For the trial run.
    package var item: HandoverItem { HandoverItem(kind: Self.handoverKind, key: "", descriptors: [file]) }

    /// When the trial run is forked.
    package func closeFile() {
        if file >= 0 { closeDescriptor(file) }
        file = -1
    }

    /// - Returns: nil if the trial run has reported nothing, as one of an earlier version.
    package func read() -> Entry? {
        // The trial run has ended, and nothing writes any more. At most the whole memory is read.
        let bytes = UnsafeRawBufferPointer(start: mapping.base, count: Self.byteCount)
        let text = String(decoding: bytes.dropFirst().prefix { $0 != 0 }, as: UTF8.self)
        switch bytes.first {
        case UInt8(ascii: "!"): return .refusal(text)
        case UInt8(ascii: "="): return .report(text)
        default: return nil
        }
    }

    /// The trial run's part of it.
    private struct Memory: ~Copyable {
        var mapping: SharedMapping?
        var hasRefused = false
    }

    private static let memory = Mutex(Memory())

    /// In a trial run: takes the memory out of what the previous image has left. Its descriptor is closed, so that no
    /// process that the trial run starts has it.
    static func take(from items: inout [HandoverItem]) {
        guard let index = items.firstIndex(where: { $0.kind == handoverKind }) else { return }
        let numbers = items.remove(at: index).descriptors
        guard let number = numbers.first else { return }
        let file = MemoryFile(owning: Descriptor(owning: number))
        guard (try? file.sealedByteCount()) == byteCount else { return }
        memory.withLock { $0.mapping = try? SharedMapping(file, byteCount: byteCount) }
    }

    /// Has an effect in a trial run only. The first refusal stays.
    package static func tell(_ entry: Entry) {
        guard Handover.isTrial else { return }
        memory.withLock { memory in
            guard !memory.hasRefused, let base = memory.mapping?.base else { return }
            let mark: UInt8
            let text: String
            switch entry {
            case .refusal(let reason):
                memory.hasRefused = true
                (mark, text) = (UInt8(ascii: "!"), reason)
            case .report(let report): (mark, text) = (UInt8(ascii: "="), report)
            }
            // The last byte stays zero.
            let bytes = [mark] + text.utf8.prefix(byteCount - 2) + [0]
            bytes.withUnsafeBytes { base.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        }
    }
}
