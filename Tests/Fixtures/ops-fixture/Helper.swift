// What a helper process can do to its caller.

import Glibc
import Prefork
import PreforkFixtureSupport
import PreforkSystem

let helper = BlockingFunction("helper") { (kind: String) -> String in
    switch kind {
    case "crash": CrashKind.memory.crash(Int(getpid()))
    case "exit": exit(3)
    case "throw": throw Refusal()
    case "wait": while true { pause() }
    case "large": return String(repeating: "x", count: 3 << 20)
    default: break
    }
    return "\(getpid()) \(threadCount())"
}
