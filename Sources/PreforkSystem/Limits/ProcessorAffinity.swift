// The processors that this process may run on.

import CPrefork

package enum ProcessorAffinity {
    /// The processors of the affinity mask in rising order (sched_getaffinity(2)).
    package static func allowed() throws(SystemError) -> [Int] {
        var processors = [Int32](repeating: 0, count: 256)
        while true {
            let count = Int(
                try systemCall("sched_getaffinity") { cprefork_affinity(&processors, Int32(processors.count)) })
            if count <= processors.count { return processors.prefix(count).map(Int.init) }
            processors = [Int32](repeating: 0, count: count)
        }
    }

    /// Lets the calling thread, and the threads and children it starts later, run on these processors only.
    ///
    /// - Throws: EINVAL if no such processor exists or a control group (cpuset(7)) allows no processor of them.
    package static func set(_ processors: [Int]) throws(SystemError) {
        let numbers = processors.map { Int32(clamping: $0) }
        try systemCall("sched_setaffinity", on: "processors \(processors)") {
            cprefork_set_affinity(numbers, Int32(numbers.count))
        }
    }
}
