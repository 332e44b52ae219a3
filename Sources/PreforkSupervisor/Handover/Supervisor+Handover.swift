// Links between a worker that leaves and the one that follows.

import PreforkSystem

extension Supervisor {
    /// For a worker that is forked next. If nil, its connections do not move.
    func makeHandoverRoute() -> HandoverRoute? {
        guard configuration.settings.movesConnections else { return nil }
        do throws(SystemError) {
            return try HandoverRoute()
        } catch {
            // A worker that drains its connections is better than none.
            logger.say(LogLine(.warning, "a new worker's connections will not move: \(error)"), by: .pool(.move))
            return nil
        }
    }

    /// The fork has succeeded: the worker whose place it takes will give its connections to the new one.
    func linkToPredecessor(slot: Int, spawn: UInt64) {
        guard let predecessor = pool.predecessor(ofFork: spawn, slot: slot) else { return }
        do throws(SystemError) {
            _ = try handoverRoutes.link(from: predecessor, to: spawn)
        } catch  where error.errno == .brokenPipe || error.errno == .connectionReset {
            // It has ended, and is reaped next.
        } catch {
            let line = LogLine(.warning, "the connections of worker \(slot) will not move to its successor: \(error)")
            logger.say(line, by: .worker(slot, .move))
        }
    }

    /// The previous program is back: its workers get the connections that the new program's had, before those are asked to
    /// leave.
    func linkBack() {
        for (giver, taker) in pool.returns { _ = try? handoverRoutes.link(from: giver, to: taker) }
    }

    /// An operator wants the same number of connections in all workers.
    func rebalance() -> ControlOutcome {
        guard configuration.settings.movesConnections else { return .failed("PREFORK_MOVE_CONNECTIONS is off") }
        guard pool.phase == .running else { return .failed("the pool is stopping") }
        // A worker that is to be replaced has its way to its successor already.
        guard pool.mayRebalance else { return .failed("workers are being replaced") }
        let moved = carryOut(Rebalance.moves(connectionsOfReady))
        return .done(moved == 0 ? "no worker has too many connections" : "\(moved) connections may move")
    }

    /// Does the same by itself, if that is set and it is time.
    func rebalanceSlowly() {
        guard configuration.settings.rebalances, configuration.settings.movesConnections else { return }
        let now = MonotonicInstant.now
        guard let due = nextRebalance else { return nextRebalance = now + Rebalance.period }
        guard due <= now else { return }
        nextRebalance = now + Rebalance.period
        if pool.phase == .running, pool.mayRebalance { _ = carryOut(Rebalance.slowMoves(connectionsOfReady)) }
    }

    private var connectionsOfReady: [UInt64: Int] {
        var connections: [UInt64: Int] = [:]
        for slot in pool.slots where slot.isReady {
            guard let spawn = slot.worker?.spawn, let line = workers[spawn]?.line else { continue }
            connections[spawn] = scoreboard.connections(line: line)
        }
        return connections
    }

    /// - Returns: how many connections may move. Those whose handlers do not wait stay.
    private func carryOut(_ moves: [Rebalance]) -> Int {
        moves.reduce(0) { sum, move in
            let isLinked = try? handoverRoutes.link(
                from: move.giver, to: move.taker, most: UInt32(clamping: move.count))
            return isLinked == true ? sum + move.count : sum
        }
    }

    /// Takes the ways to workers of the previous image.
    func inheritHandoverRoutes() {
        guard let item = Handover.take(HandoverRoutes.handoverKind, key: "") else { return }
        handoverRoutes.inherit(item, living: Set(workers.entries.keys))
    }
}
