// Arrivals, deaths and closings of the other end's process.

import PreforkSystem
import Synchronization

extension Channel {
    /// Calls `body` on the caller's event loop (off all loops: on the shared one) when a process comes to the other
    /// end, dies there, or closes it. If a process is there already, it calls `body` at once.
    ///
    /// If several processes come and go between two turns of the loop, only the last one is reported.
    ///
    /// - Throws: `.endInUse`, `.closed`, `.busy`, `.system`.
    @discardableResult
    public func onPeer(
        _ body: @escaping @Sendable (ChannelPeerEvent) -> Void
    ) throws(ChannelError) -> ChannelRegistration {
        let end = end
        try end.attach()
        let (loop, bellWatch) = try end.listen()
        let id = end.wiring.withLock { $0.observers.add(on: loop, body) }
        // The loop reports the news, as for every ring.
        end.memory.ringBell(of: end.side)
        bellWatch.keepRechecking()
        return ChannelRegistration { end.wiring.withLock { $0.observers.remove(id) } }
    }

    /// The generation of the process at the other end. If nil, no process has come yet.
    public var peerGeneration: UInt64? {
        let generation = end.memory.generation(of: end.side.other)
        return generation == 0 ? nil : generation
    }
}
