// The names of what the previous image left, and of what this one would leave to the next.

/// How the next image of a program asks for one object among the objects of its kind.
package enum HandoverName: Hashable, Sendable {
    /// The program has named it.
    ///
    /// - Parameter again: 0, or a higher number for another living object of the same kind and name.
    case name(String, again: Int)
    /// It has no name: its number in the order of making.
    case number(Int)

    var key: String {
        switch self {
        case .name(let name, 0): "name \(name)"
        case .name(let name, let again): "name.\(again) \(name)"
        case .number(let number): "number \(number)"
        }
    }

    /// The number that `key` stands for. Nil if the key is a name, or belongs to a kind without numbers.
    static func number(ofKey key: String) -> Int? {
        key.hasPrefix("number ") ? Int(key.dropFirst(7)) : nil
    }
}

extension HandoverName: CustomStringConvertible {
    package var description: String {
        switch self {
        case .name(let name, _): Escaping.brief(name)
        case .number(let number): "\(number)"
        }
    }
}

/// An object that this program makes, with what the previous image has left for it.
package struct HandoverClaim: Sendable {
    package let kind: String
    package let name: HandoverName
    package let left: HandoverItem?
    /// It is part of what is left to the next image. Nothing is that is made while workers are supervised, or in one of
    /// them: the next image makes its own before it supervises.
    package let isOffered: Bool

    /// For messages, such as `store sessions` or `store 0`.
    package var title: String { "\(kind) \(name)" }
}

/// The lists of `Handover`, as a value.
struct HandoverLedger {
    private struct Offer {
        var item: HandoverItem
        /// The key under which the previous image has left it. If nil, this image has made it.
        var leftAs: String?
        /// Called with true right before another image takes this one's place, and with false if that failed.
        var leave: (@Sendable (Bool) -> Void)?
    }

    /// What the previous image has left and this image has not taken.
    private(set) var received: [HandoverItem] = []
    /// What it has left by number, taken or not.
    private var numbered: [HandoverItem] = []
    /// This program came after another image of it.
    var isLater = false
    /// Workers are supervised: see `HandoverClaim.isOffered`.
    var isSettled = false
    private var offered: [UInt64: Offer] = [:]
    private var lastID: UInt64 = 0
    /// Keys of what was made and lives, by kind.
    private var living: [String: Set<String>] = [:]
    /// For each kind, the lowest number that nothing has.
    private var nextNumbers: [String: Int] = [:]
    /// Numbers above that which `was` has given away.
    private var takenNumbers: [String: Set<Int>] = [:]
    private var refusals: [String] = []
    /// Kinds and keys of the refusals, for which `numberObjections` adds nothing.
    private var refused: Set<String> = []

    init(received: [HandoverItem] = [], isLater: Bool = false) {
        self.received = received
        self.isLater = isLater
        numbered = received.filter { HandoverName.number(ofKey: $0.key) != nil }
    }

    /// Finds the first one of a kind that fits, and takes it.
    mutating func take(_ kind: String, where isWanted: (HandoverItem) -> Bool) -> HandoverItem? {
        received.firstIndex { $0.kind == kind && isWanted($0) }.map { received.remove(at: $0) }
    }

    mutating func takeAll(where isWanted: (HandoverItem) -> Bool) -> [HandoverItem] {
        defer { received.removeAll(where: isWanted) }
        return received.filter(isWanted)
    }

    // Things with an identity.

    /// Gives a new object its name, and finds what the previous image has left for it.
    ///
    /// - Parameters:
    ///   - name: if nil, it gets the next number of its kind.
    ///   - was: its number in an image in which it had no name. No other one of this image gets that number.
    mutating func claim(_ kind: String, name: String?, was: Int?) -> HandoverClaim {
        if isSettled {
            let name = name.map { HandoverName.name($0, again: 0) } ?? .number(nextNumbers[kind] ?? 0)
            return HandoverClaim(kind: kind, name: name, left: nil, isOffered: false)
        }
        let identity: HandoverName
        if let name {
            let taken = living[kind] ?? []
            let again = (0...).first { !taken.contains(HandoverName.name(name, again: $0).key) } ?? 0
            identity = .name(name, again: again)
            if let was, !reserve(was, of: kind) {
                refusals.append("\(kind) \(identity) was \(kind) \(was), which this program has already made")
            }
        } else {
            identity = .number(nextNumber(of: kind))
        }
        let left =
            take(kind) { $0.key == identity.key }
            ?? was.flatMap { was in take(kind) { $0.key == HandoverName.number(was).key } }
        return HandoverClaim(kind: kind, name: identity, left: left, isOffered: true)
    }

    private mutating func nextNumber(of kind: String) -> Int {
        var number = nextNumbers[kind] ?? 0
        while takenNumbers[kind]?.remove(number) != nil { number += 1 }
        nextNumbers[kind] = number + 1
        return number
    }

    /// - Returns: false when another one of this image has the number.
    private mutating func reserve(_ number: Int, of kind: String) -> Bool {
        guard number >= nextNumbers[kind] ?? 0 else { return false }
        return takenNumbers[kind, default: []].insert(number).inserted
    }

    /// This image cannot use what was left. It stays for the previous image, and a trial run fails.
    mutating func refuse(_ claim: HandoverClaim, _ reason: String) {
        refusals.append("\(claim.title): \(reason)")
        refused.insert("\(claim.kind) \(claim.name.key)")
        if let left = claim.left {
            refused.insert(Self.place(left))
            received.append(left)
        }
    }

    mutating func offer(
        _ claim: HandoverClaim, descriptors: [Int32], text: String, isTaken: Bool,
        leave: (@Sendable (Bool) -> Void)? = nil
    ) -> UInt64 {
        guard claim.isOffered else { return 0 }
        living[claim.kind, default: []].insert(claim.name.key)
        let item = HandoverItem(kind: claim.kind, key: claim.name.key, descriptors: descriptors, text: text)
        return add(Offer(item: item, leftAs: isTaken ? claim.left?.key : nil, leave: leave))
    }

    mutating func offer(_ item: HandoverItem) -> UInt64 { add(Offer(item: item, leftAs: item.key)) }

    private mutating func add(_ offer: Offer) -> UInt64 {
        lastID += 1
        offered[lastID] = offer
        return lastID
    }

    mutating func withdraw(_ id: UInt64) {
        guard let item = offered.removeValue(forKey: id)?.item else { return }
        living[item.kind]?.remove(item.key)
    }

    /// In a forked child, which has closed these descriptors.
    mutating func forget(_ closed: Set<Int32>) {
        offered = offered.filter { closed.isDisjoint(with: $0.value.item.descriptors) }
        received.removeAll { !closed.isDisjoint(with: $0.descriptors) }
    }

    /// What the next image is left.
    var offers: [HandoverItem] { offered.sorted { $0.key < $1.key }.map(\.value.item) }

    var leaving: [@Sendable (Bool) -> Void] { offered.values.compactMap(\.leave) }

    /// Why this image cannot use what it was left. Empty if it can. Must be read after the program has made everything
    /// that it makes before it supervises.
    var objections: [String] { refusals + (isLater ? numberObjections : []) }

    /// Numbers distinguish objects only as long as there are as many as before: one more that is made first would be
    /// taken for another.
    private var numberObjections: [String] {
        let fresh = offered.values.filter { $0.leftAs == nil }.map(\.item) + received
        let kinds = fresh.filter { HandoverName.number(ofKey: $0.key) != nil && !refused.contains(Self.place($0)) }
        return Set(kinds.map(\.kind)).sorted().map { kind in
            let before = list(numbered.filter { $0.kind == kind })
            let now = list(offered.values.map(\.item).filter { $0.kind == kind })
            return """
                \(kind)s without a name are matched by the order in which they are made: the previous program has \
                \(before), this one \(now). Give the new ones a name
                """
        }
    }

    private func list(_ items: [HandoverItem]) -> String {
        let numbers = items.compactMap { HandoverName.number(ofKey: $0.key) }.sorted()
        return numbers.isEmpty ? "none" : numbers.map(String.init).joined(separator: ", ")
    }

    private static func place(_ item: HandoverItem) -> String { "\(item.kind) \(item.key)" }
}
