// What a program leaves to the one that it re-executes itself as: open descriptors, by name.

import CPrefork
import Glibc
import Synchronization

/// Something with descriptors that the next image of a program can go on with.
package struct HandoverItem: Equatable, Sendable {
    /// What it is, for example `listener`.
    package var kind: String
    /// Which of them: what the program asks for when it makes it.
    package var key: String
    package var descriptors: [Int32]
    /// What else there is to know.
    package var text: String

    package init(kind: String, key: String, descriptors: [Int32], text: String = "") {
        self.kind = kind
        self.key = key
        self.descriptors = descriptors
        self.text = text
    }
}

/// The items of this process: what it was left, and what it would leave.
///
/// A program re-executes itself in place (execve(2): same process, same children) with a list of its descriptors in a
/// memory file, whose number is in the environment. The new image makes its listeners and stores by the same calls as
/// ever, and each finds its predecessor's descriptor by what it is asked to be.
package enum Handover {
    package static let variable = "PREFORK_HANDOVER"

    /// How a trial ends that has come as far as it is to come. Not 0: a program that ends well before it serves, a
    /// wrong one or one that only says how it is used, must not become this process.
    package static let trialPassed: Int32 = 80
    /// How one ends that could serve, but not go on from here.
    package static let trialFailed: Int32 = 81

    private struct State {
        var received: [HandoverItem]?
        var isTrial = false
        var isLaterImage = false
        var offered: [(id: UInt64, item: HandoverItem)] = []
        var lastID: UInt64 = 0
    }

    private static let state = Mutex(State())

    /// This process only shows that the program can start: it ends where it would begin to serve.
    package static var isTrial: Bool {
        state.withLock { state in
            load(&state)
            return state.isTrial
        }
    }

    /// This program came by execve(2) after one that left it something, and may have that one's children.
    static var isLaterImage: Bool {
        state.withLock { state in
            load(&state)
            return state.isLaterImage
        }
    }

    /// Takes what the last image has left under this name; the first one that fits. nil when there is nothing.
    ///
    /// - Parameter count: how many descriptors it must have. One with another number stays for `closeRest`.
    package static func take(_ kind: String, key: String, descriptors count: Int? = nil) -> HandoverItem? {
        state.withLock { state in
            load(&state)
            return take(kind, key: key, descriptors: count, from: &state.received)
        }
    }

    static func take(
        _ kind: String, key: String, descriptors count: Int?, from items: inout [HandoverItem]?
    ) -> HandoverItem? {
        let index = items?.firstIndex {
            $0.kind == kind && $0.key == key && (count == nil || $0.descriptors.count == count)
        }
        return index.flatMap { items?.remove(at: $0) }
    }

    /// Takes the first one of a kind whose key fits.
    static func take(_ kind: String, where isWanted: (String) -> Bool) -> HandoverItem? {
        state.withLock { state in
            load(&state)
            let index = state.received?.firstIndex { $0.kind == kind && isWanted($0.key) }
            return index.flatMap { state.received?.remove(at: $0) }
        }
    }

    /// Looks for the first one of a kind, and leaves it there.
    static func find(_ kind: String, where isWanted: (String) -> Bool = { _ in true }) -> HandoverItem? {
        state.withLock { state in
            load(&state)
            return state.received?.first { $0.kind == kind && isWanted($0.key) }
        }
    }

    /// Takes all of one kind, in their order.
    package static func takeAll(_ kind: String) -> [HandoverItem] {
        state.withLock { state in
            load(&state)
            defer { state.received?.removeAll { $0.kind == kind } }
            return (state.received ?? []).filter { $0.kind == kind }
        }
    }

    /// Closes what nobody has taken: the new image has no use for it.
    ///
    /// - Returns: the names of what was closed.
    package static func closeRest() -> [String] {
        let rest = state.withLock { state -> [HandoverItem] in
            defer { state.received = [] }
            return state.received ?? []
        }
        // Children of the last image have them, too, and may leave first.
        LastClose.close(rest.flatMap(\.descriptors))
        return rest.map { "\($0.kind) \($0.key)" }
    }

    /// From now on `item` is part of what is left to the next image.
    package static func offer(_ item: HandoverItem) -> UInt64 {
        state.withLock { state in
            state.lastID += 1
            state.offered.append((state.lastID, item))
            return state.lastID
        }
    }

    package static func withdraw(_ id: UInt64) {
        state.withLock { state in state.offered.removeAll { $0.id == id } }
    }

    package static var offers: [HandoverItem] { state.withLock { $0.offered.map(\.item) } }

    /// Descriptors that the last image has left and that no part of this one has taken yet.
    package static var unclaimed: [Int32] { state.withLock { ($0.received ?? []).flatMap(\.descriptors) } }

    /// In a forked child, which closes these descriptors: they are neither left nor taken any more.
    package static func forget(_ numbers: [Int32]) {
        let closed = Set(numbers)
        state.withLock { state in
            state.offered.removeAll { !closed.isDisjoint(with: $0.item.descriptors) }
            state.received?.removeAll { !closed.isDisjoint(with: $0.descriptors) }
        }
    }

    private static func load(_ state: inout State) {
        if state.received != nil { return }
        state.received = []
        guard let value = CurrentProcess.environment(variable) else { return }
        unsetenv(variable)
        let parts = value.split(separator: ":")
        // Another process's, inherited by mistake, is none of ours.
        guard parts.count >= 2, let file = Int32(parts[0]), Int32(parts[1]) == getpid() else { return }
        state.isLaterImage = true
        state.isTrial = parts.count > 2 && parts[2] == "trial"
        guard var items = try? HandoverManifest.read(file) else { return }
        for descriptor in items.flatMap(\.descriptors) { try? setCloseOnExec(descriptor) }
        if state.isTrial { TrialReport.take(from: &items) }
        state.received = items
    }
}

/// Items as text: a line each, of tab-separated fields in percent encoding.
enum HandoverManifest {
    static func text(of items: [HandoverItem]) -> String {
        items.map { item in
            let numbers = item.descriptors.map(String.init).joined(separator: ",")
            return [escape(item.kind), escape(item.key), numbers, escape(item.text)].joined(separator: "\t")
        }.joined(separator: "\n")
    }

    /// - Returns: nil when a line is none.
    static func items(of text: String) -> [HandoverItem]? {
        var items: [HandoverItem] = []
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard fields.count == 4, let kind = unescape(fields[0]), let key = unescape(fields[1]),
                let text = unescape(fields[3])
            else { return nil }
            let numbers = fields[2].split(separator: ",").map { Int32($0) }
            guard numbers.allSatisfy({ $0 != nil && $0! >= 0 }) else { return nil }
            items.append(HandoverItem(kind: kind, key: key, descriptors: numbers.compactMap { $0 }, text: text))
        }
        return items
    }

    /// - Returns: a memory file's number, open for the next image.
    static func write(_ items: [HandoverItem]) throws(SystemError) -> Int32 {
        let text = Array(Self.text(of: items).utf8)
        let file = try MemoryFile(name: "prefork-handover", byteCount: max(1, text.count))
        let mapping = try SharedMapping(file, byteCount: max(1, text.count))
        mapping.base.copyMemory(from: text, byteCount: text.count)
        return try duplicate(file.descriptor.number)
    }

    static func read(_ number: Int32) throws(SystemError) -> [HandoverItem]? {
        let file = MemoryFile(owning: Descriptor(owning: number))
        let size = try file.sealedByteCount()
        guard (1...1 << 24).contains(size) else { return nil }
        let mapping = try SharedMapping(file, byteCount: size)
        let bytes = UnsafeRawBufferPointer(start: mapping.base, count: size)
        return items(of: String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
    }

    private static func escape(_ text: String) -> String {
        var escaped = ""
        for byte in text.utf8 {
            if byte > 32, byte < 127, byte != UInt8(ascii: "%") {
                escaped.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                escaped += "%" + String(Int(byte) + 256, radix: 16).dropFirst()
            }
        }
        return escaped
    }

    private static func unescape(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let code = UInt8(String(Substring(rest.prefix(2))), radix: 16) else { return nil }
            bytes.append(code)
            rest = rest.dropFirst(2)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
