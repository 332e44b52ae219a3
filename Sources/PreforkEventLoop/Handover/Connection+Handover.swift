// What handlers and protocols' servers say about a connection that may move.

import PreforkCBOR
package import PreforkSystem

extension Connection {
    /// What the next worker needs to go on with this connection: it gets the value in `serve(resuming:)`.
    ///
    /// A handler sets it once. When its worker is to be replaced, it is called while the handler waits in
    /// `ByteReader.waitForMessage`, and its value is encoded (`CBORCodec`), at most 1 MiB together with what was read and not
    /// consumed. Then the connection moves, and that call returns false with `isHandedOver`. If it throws, or is nil, the
    /// connection does not move and is drained. It is called on the loop, so it may read what the handler changes there. Set
    /// on the loop only.
    ///
    /// ```swift
    /// var lines = 0
    /// connection.handoverState = { LineState(lines: lines) }
    /// ```
    public var handoverState: (() throws -> any Encodable & Sendable)? {
        get { channel.handoverState }
        set {
            channel.handoverState = newValue
            onHandover(
                newValue.map { make in
                    { () throws -> HandoverParcel? in HandoverParcel(state: try CBORCodec().encode(make())) }
                })
        }
    }

    /// Whether another worker has this connection now. Its handler here returns without a farewell: the peer notices
    /// nothing. Writes throw `.closed`.
    public var isHandedOver: Bool { channel.isHandedOver }

    /// For the server of a protocol, instead of `handoverState`: packs the connection when it moves, while the task that
    /// reads waits where it may. It must change nothing, because the connection may be refused and goes on then. Returns nil
    /// if it cannot move now. On the loop only.
    package func onHandover(_ pack: (() throws -> HandoverParcel?)?) { channel.pack = pack }

    /// Why it does not move although the others do. It drains.
    package var handoverRefusal: HandoverRefusal? { channel.refusal }

    /// How often it has moved.
    package var moves: Int { Int(channel.moves) }

    /// When the first process accepted it.
    package var accepted: MonotonicInstant { channel.accepted }

    /// The other process has it.
    func isTakenOver() {
        channel.isTakenOver()
        writer.endHoldForMove()
    }

    /// The other process has it not.
    func comesBack() {
        channel.comesBack()
        writer.endHoldForMove()
    }
}
