// Open descriptors, by name, that a program leaves to the image that it re-executes itself as.

import CPrefork
import Glibc
import Synchronization

/// An object with descriptors that the next image of a program can continue to use.
package struct HandoverItem: Equatable, Sendable {
    /// What it is, for example `listener`.
    package var kind: String
    /// Which of them: the key under which the program makes it.
    package var key: String
    package var descriptors: [Int32]
    /// Further information about it.
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
/// memory file, whose number is in the environment. The new image makes its listeners and stores by the usual calls,
/// and each finds its predecessor's descriptor by its kind and key.
package enum Handover {
    package static let variable = "PREFORK_HANDOVER"

    /// The exit code of a trial run that has passed all its checks. Not 0: a program that exits normally before it
    /// serves, such as a wrong program or one that only prints its usage, must not become this process.
    package static let trialPassed: Int32 = 80
    /// The exit code of a program that could serve, but could not take over from here.
    package static let trialFailed: Int32 = 81

    private struct State {
        var isLoaded = false
        var isTrial = false
        var returned: Return?
        var ledger = HandoverLedger()
    }

    /// This program ran here before, and the one after it is gone.
    package struct Return: Equatable, Sendable {
        /// How the new image ended. If nil, it has rolled back by itself.
        package var end: Rollback.End?
    }

    private static let state = Mutex(State())

    private static func withState<Value>(_ body: (inout State) -> Value) -> Value {
        state.withLock { state in
            load(&state)
            return body(&state)
        }
    }

    /// This process only shows that the program can start: it ends where it would begin to serve.
    package static var isTrial: Bool { withState(\.isTrial) }

    /// If nil, this program was not restored after a failed upgrade.
    package static var returned: Return? { withState(\.returned) }

    /// It came by the way back because the program after it has ended, with whatever it had in hand.
    package static var isAfterEnd: Bool { returned?.end != nil }

    /// This program came by execve(2) after one that left it something, and may have that one's children.
    package static var isLaterImage: Bool { withState(\.ledger.isLater) }

    /// Takes what the last image has left under this name: the first match, or nil if there is no match.
    package static func take(_ kind: String, key: String) -> HandoverItem? {
        withState { $0.ledger.take(kind) { $0.key == key } }
    }

    /// Takes the first item of a kind whose key fits.
    static func take(_ kind: String, where isWanted: (String) -> Bool) -> HandoverItem? {
        withState { $0.ledger.take(kind) { isWanted($0.key) } }
    }

    /// Looks for the first one of a kind, and leaves it there.
    package static func find(_ kind: String, where isWanted: (String) -> Bool = { _ in true }) -> HandoverItem? {
        withState { $0.ledger.received.first { $0.kind == kind && isWanted($0.key) } }
    }

    /// Takes all of one kind, in their order.
    package static func takeAll(_ kind: String) -> [HandoverItem] {
        withState { $0.ledger.takeAll { $0.kind == kind } }
    }

    /// Closes what the new image has not taken, because it has no use for it.
    ///
    /// - Returns: the names of what was closed.
    package static func closeRest() -> [String] {
        let rest = withState { $0.ledger.takeAll { _ in true } }
        // Children of the last image have them, too, and may leave first.
        LastClose.close(rest.flatMap(\.descriptors))
        return rest.map { "\($0.kind) \($0.key)" }
    }

    /// From now on `item` is part of what is left to the next image.
    package static func offer(_ item: HandoverItem) -> UInt64 { withState { $0.ledger.offer(item) } }

    package static func withdraw(_ id: UInt64) {
        if id != 0 { withState { $0.ledger.withdraw(id) } }
    }

    package static var offers: [HandoverItem] { withState(\.ledger.offers) }

    /// Descriptors that the last image has left and that no part of this one has taken yet.
    package static var unclaimed: [Int32] { withState { $0.ledger.received.flatMap(\.descriptors) } }

    /// In a forked child, which closes these descriptors: they are neither left nor taken any more.
    package static func forget(_ numbers: [Int32]) {
        withState { $0.ledger.forget(Set(numbers)) }
    }

    private static func load(_ state: inout State) {
        if state.isLoaded { return }
        state.isLoaded = true
        guard let value = CurrentProcess.environment(variable) else { return }
        unsetenv(variable)
        let parts = value.split(separator: ":")
        // Another process's variable, inherited by mistake, is ignored.
        guard parts.count >= 2, let file = Int32(parts[0]), Int32(parts[1]) == getpid() else { return }
        state.isTrial = parts.count > 2 && parts[2] == "trial"
        var items = (try? HandoverManifest.read(file)) ?? []
        for descriptor in items.flatMap(\.descriptors) { try? setCloseOnExec(descriptor) }
        if state.isTrial { TrialReport.take(from: &items) }
        if parts.count > 2, parts[2] == "back" {
            state.returned = Return(end: parts.count > 3 ? Rollback.End(text: parts[3]) : nil)
            RollbackOrphans.end(from: &items, areMore: parts.count > 4)
        }
        state.ledger = HandoverLedger(received: items, isLater: true)
    }
}

/// Things that keep their identity over an upgrade: stores, queues, channels.
extension Handover {
    /// Gives a new object its name among the objects of its kind, and finds what the previous image has left for it.
    ///
    /// - Parameters:
    ///   - name: if nil, it gets the next number.
    ///   - was: its number in an earlier version of the program, in which it had no name.
    package static func claim(_ kind: String, name: String?, was: Int? = nil) -> HandoverClaim {
        withState { $0.ledger.claim(kind, name: name, was: was) }
    }

    /// This image cannot use what was left, and makes a new object: a trial run fails, and a running image rolls back.
    package static func refuse(_ claim: HandoverClaim, _ reason: String) {
        withState { $0.ledger.refuse(claim, reason) }
    }

    /// From now on what was claimed is part of what is left to the next image.
    ///
    /// - Parameters:
    ///   - isTaken: whether this image uses what was left.
    ///   - leave: called by `leave`. Must not keep the offered object alive.
    /// - Returns: for `withdraw`.
    package static func offer(
        _ claim: HandoverClaim, descriptors: [Int32], text: String, isTaken: Bool,
        leave: (@Sendable (Bool) -> Void)? = nil
    ) -> UInt64 {
        withState { $0.ledger.offer(claim, descriptors: descriptors, text: text, isTaken: isTaken, leave: leave) }
    }

    /// Another image is about to take this one's place: what this one has in progress is returned to its source.
    ///
    /// - Parameter isLeaving: false if the next image has not taken over and this one continues.
    package static func leave(_ isLeaving: Bool) {
        for leave in withState(\.ledger.leaving) { leave(isLeaving) }
    }

    /// The program has made what it makes before it supervises, or supervises no more.
    package static func settle(_ isSettled: Bool) { withState { $0.ledger.isSettled = isSettled } }

    /// Why this image cannot use what it was left. Empty if it can.
    package static var objections: [String] { withState(\.ledger.objections) }
}

/// Items as text: a line each, of tab-separated fields in percent encoding.
enum HandoverManifest {
    static func text(of items: [HandoverItem]) -> String {
        items.map { item in
            let numbers = item.descriptors.map(String.init).joined(separator: ",")
            return [escape(item.kind), escape(item.key), numbers, escape(item.text)].joined(separator: "\t")
        }.joined(separator: "\n")
    }

    /// - Returns: nil if a line is malformed.
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

    /// On bytes: until an upgrade holds, all of this is written again whenever a worker has come or gone.
    /// On bytes: until an upgrade holds, all of this is written again whenever a worker has come or gone.
    private static func escape(_ text: String) -> String {
        if text.utf8.allSatisfy(isPlain) { return text }
        let digits = Array("0123456789abcdef".utf8)
        var escaped: [UInt8] = []
        escaped.reserveCapacity(text.utf8.count * 5 / 4)
        for byte in text.utf8 {
            if isPlain(byte) {
                escaped.append(byte)
            } else {
                escaped.append(UInt8(ascii: "%"))
                escaped.append(digits[Int(byte >> 4)])
                escaped.append(digits[Int(byte & 15)])
            }
        }
        return String(decoding: escaped, as: UTF8.self)
    }

    private static func isPlain(_ byte: UInt8) -> Bool { byte > 32 && byte < 127 && byte != UInt8(ascii: "%") }

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
