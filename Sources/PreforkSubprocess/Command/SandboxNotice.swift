// What the kernel lacks of a command's sandbox, said once in each process.

import PreforkSystem
import Synchronization

enum SandboxNotice {
    private static let wasSaid = Atomic(false)

    static func say(_ warning: String) {
        if wasSaid.exchange(true, ordering: .relaxed) { return }
        StandardErrorLines.say("warning", "a command runs, but \(warning)", by: "sandbox")
    }
}
