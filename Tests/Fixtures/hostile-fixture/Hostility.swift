// How hostile processes are told what to do, and the attacks by the package's own means.

import HostileC
import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// The judge's order, in a file that the pool can read and not write.
enum Order {
    case quiet
    /// The seed of the attack, when it must be over (CLOCK_MONOTONIC), and of which kinds it may be.
    case attack(seed: UInt64, deadline: Int64, kinds: UInt32)

    static func read(in folder: String) -> Order {
        let words = ((try? SmallFile.read("\(folder)/order")) ?? "").split(separator: " ")
        guard words.count == 4, words[0] == "attack", let seed = UInt64(words[1]), let deadline = Int64(words[2]),
            let kinds = UInt32(words[3])
        else { return .quiet }
        return .attack(seed: seed, deadline: deadline, kinds: kinds)
    }

    /// Replaces the file in one step.
    func write(in folder: String) {
        let text =
            switch self {
            case .quiet: "quiet"
            case .attack(let seed, let deadline, let kinds): "attack \(seed) \(deadline) \(kinds)"
            }
        let file = open("\(folder)/order.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        _ = Glibc.write(file, text, text.utf8.count)
        close(file)
        rename("\(folder)/order.new", "\(folder)/order")
    }
}

/// A bit beside those of `hostile_kind`: floods of control codes, which Swift code sends.
let controlCodes: UInt32 = 1 << 9

struct Hostility: Sendable {
    let folder: String
    let supervisor: Int32
    let witness: Int32
    let user: UInt32

    /// Waits for orders and carries them out. Few attacks return. SIGTERM ends the process between them.
    func attackWhenOrdered(isWorker: Bool) -> Never {
        hostile_limit_self()
        while true {
            if case .attack(let seed, let deadline, let kinds) = Order.read(in: folder),
                deadline > MonotonicInstant.now.nanoseconds
            {
                attack(seed: isWorker ? seed : ~seed, deadline, kinds, isWorker: isWorker)
            }
            usleep(5_000)
        }
    }

    private func attack(seed: UInt64, _ deadline: Int64, _ kinds: UInt32, isWorker: Bool) {
        var plan = hostile_plan()
        plan.seed = seed
        plan.deadline = deadline
        plan.kinds = kinds
        plan.is_worker = isWorker
        plan.supervisor = supervisor
        plan.witness = witness
        plan.user = user
        // Kept: the process has not long to live.
        plan.folder = UnsafePointer(strdup(folder))
        guard hostile_drop_rights(&plan) else { return }
        var dice = SplitMix64(seed: seed)
        if kinds & controlCodes != 0, dice.below(100) < 30 {
            let state = dice
            try? startThread { flood(state, until: deadline) }
        }
        hostile_attack(&plan)
    }

    /// Restarts of both targets, and codes that mean nothing. A stop is not among them: it would be obeyed, and the
    /// hostile process would be gone for good.
    private func flood(_ dice: SplitMix64, until deadline: Int64) {
        var dice = dice
        while MonotonicInstant.now.nanoseconds < deadline {
            let name = dice.below(4) == 0 ? "helper-active" : "hostile-active"
            let code = ControlCode(rawValue: UInt8(1 + dice.below(255)))
            for _ in 0..<dice.below(200) { try? Channel<String>.named(name).send(control: code) }
            usleep(UInt32(dice.below(2_000)))
        }
    }
}
