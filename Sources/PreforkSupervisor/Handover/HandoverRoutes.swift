// How workers get the ends of the links by which connections move between them.

import PreforkSystem

/// The way to one worker, made before its fork: what the supervisor sends comes out at the worker's end.
struct HandoverRoute {
    let supervisorEnd: Int32
    let workerEnd: Int32

    /// - Throws: socketpair's error, where no descriptor is left.
    init() throws(SystemError) {
        let ends = try PacketPair.makeOneWay()
        supervisorEnd = ends.sending
        workerEnd = ends.receiving
    }

    /// In the worker.
    func enter() {
        closeDescriptor(supervisorEnd)
        DescriptorHolders.keep(HeldDescriptor(.linkNews, workerEnd))
        LinkNews.listen(at: workerEnd)
    }

    func close() { closeDescriptors([supervisorEnd, workerEnd]) }
}

/// The supervisor's ends, by the workers' spawns.
struct HandoverRoutes {
    /// In what is left to the next image of the program, beside the pool: an image that does not know it closes them, and
    /// drains the old workers.
    static let handoverKind = "ways of links"

    private(set) var ends: [UInt64: Int32] = [:]

    var numbers: [Int32] { Array(ends.values) }

    /// In the supervisor, after the fork.
    mutating func add(_ route: HandoverRoute, of spawn: UInt64) {
        closeDescriptor(route.workerEnd)
        ends[spawn] = route.supervisorEnd
    }

    /// A spare has become a worker.
    mutating func rename(_ key: UInt64, to spawn: UInt64) { ends[spawn] = ends.removeValue(forKey: key) }

    /// Nothing ever waits at the supervisor's end, so closing it does not wait either.
    mutating func remove(_ spawn: UInt64) {
        if let end = ends.removeValue(forKey: spawn) { closeDescriptor(end) }
    }

    /// Makes a link between two workers. The supervisor's copies are closed when this returns.
    ///
    /// - Parameter most: how many connections move at most. 0: all, when the giver is asked to leave.
    /// - Returns: false if one of the two has no way: it was forked by an image without ways, or has ended.
    /// - Throws: where no descriptor is left, or a worker does not take what was sent before.
    func link(from giver: UInt64, to taker: UInt64, most: UInt32 = 0) throws(SystemError) -> Bool {
        guard let giverEnd = ends[giver], let takerEnd = ends[taker] else { return false }
        let pair = try PacketPair()
        // A taker without a giver gets an end that is over at once.
        try Self.send(pair.second, as: .taking, most, to: takerEnd)
        try Self.send(pair.first, as: .giving, most, to: giverEnd)
        return true
    }

    private static func send(
        _ end: PacketPair.End, as role: LinkEnd.Role, _ most: UInt32, to way: Int32
    ) throws(SystemError) {
        let isSent = try withUnsafeBytes(of: LinkNews.word(role, most: most)) { (bytes) throws(SystemError) in
            try DescriptorPassing.send(bytes, passing: [end.number], to: way)
        }
        if !isSent { throw SystemError("sendmsg", .wouldBlock, on: "a worker that does not take what was sent before") }
    }
}

extension HandoverRoutes {
    /// For the next image of the program.
    var item: HandoverItem {
        let sorted = ends.sorted { $0.key < $1.key }
        return HandoverItem(
            kind: Self.handoverKind, key: "", descriptors: sorted.map(\.value),
            text: sorted.map { "\($0.key)" }.joined(separator: " "))
    }

    /// Takes what the previous image has left. Ways of workers that are not known are closed.
    mutating func inherit(_ item: HandoverItem, living: Set<UInt64>) {
        let spawns = item.text.split(separator: " ").map { UInt64($0) }
        let isWhole = spawns.count == item.descriptors.count
        for (index, number) in item.descriptors.enumerated() {
            if isWhole, let spawn = spawns[index], living.contains(spawn), ends[spawn] == nil, PacketPair.isEnd(number)
            {
                ends[spawn] = number
            } else {
                closeDescriptor(number)
            }
        }
    }
}
