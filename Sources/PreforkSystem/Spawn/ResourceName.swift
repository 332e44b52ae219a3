// Resource limits by name (getrlimit(2)).

import CPrefork
import Glibc

package enum ResourceName {
    package static let openFiles = Int32(RLIMIT_NOFILE.rawValue)
    package static let processes = Int32(__RLIMIT_NPROC.rawValue)
    package static let addressSpace = Int32(RLIMIT_AS.rawValue)
    package static let cpuSeconds = Int32(RLIMIT_CPU.rawValue)
    package static let fileSize = Int32(RLIMIT_FSIZE.rawValue)
    package static let coreSize = Int32(RLIMIT_CORE.rawValue)
    package static let dataSize = Int32(RLIMIT_DATA.rawValue)
    package static let stackSize = Int32(RLIMIT_STACK.rawValue)
    package static let lockedMemory = Int32(__RLIMIT_MEMLOCK.rawValue)

    private static let names: [Int32: String] = [
        openFiles: "RLIMIT_NOFILE", processes: "RLIMIT_NPROC", addressSpace: "RLIMIT_AS", cpuSeconds: "RLIMIT_CPU",
        fileSize: "RLIMIT_FSIZE", coreSize: "RLIMIT_CORE", dataSize: "RLIMIT_DATA", stackSize: "RLIMIT_STACK",
        lockedMemory: "RLIMIT_MEMLOCK",
    ]

    static func of(_ resource: Int32) -> String {
        names[resource] ?? "resource \(resource)"
    }
}
