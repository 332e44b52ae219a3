// The running blocking services, and how many trees hold each.

import Synchronization

/// The table of the process's blocking services. The tree that put a service there keeps it alive, so no other object
/// can have its identity.
enum BlockingHolds {
    enum Acquisition {
        case mine
        case running
        /// It is being started or stopped: its code requests it, or another thread is starting or stopping it. The two
        /// cases cannot be distinguished, because the standard library does not name threads.
        case busy
    }

    private enum Hold {
        case changing
        case running(holders: Int)
    }

    private static let holds = Mutex<[ObjectIdentifier: Hold]>([:])

    static func isRunning(_ service: ObjectIdentifier) -> Bool {
        holds.withLock { if case .running = $0[service] { true } else { false } }
    }

    static func acquire(_ service: ObjectIdentifier) -> Acquisition {
        holds.withLock { holds in
            switch holds[service] {
            case .changing: return .busy
            case .running(let holders):
                holds[service] = .running(holders: holders + 1)
                return .running
            case nil:
                holds[service] = .changing
                return .mine
            }
        }
    }

    static func didStart(_ service: ObjectIdentifier) {
        holds.withLock { $0[service] = .running(holders: 1) }
    }

    /// - Returns: whether the caller was the last holder, which then must stop it.
    static func release(_ service: ObjectIdentifier) -> Bool {
        holds.withLock { holds in
            guard case .running(let holders) = holds[service] else { return false }
            holds[service] = holders > 1 ? .running(holders: holders - 1) : .changing
            return holders == 1
        }
    }

    /// It is down, or never came up.
    static func forget(_ service: ObjectIdentifier) {
        holds.withLock { _ = $0.removeValue(forKey: service) }
    }
}
