// The control groups of this process: where their files are, and what they say about processors.

/// This process's control groups, version 1 and 2, which hybrid hosts have at the same time (cgroups(7)).
package struct ControlGroup: Sendable {
    /// A directory of a hierarchy, and the mount point up to which its ancestors count.
    struct Place: Equatable, Sendable {
        var directory: String
        var mountPoint: String

        /// The directory, its parent, and so on up to the mount point.
        var lineage: [String] {
            var list = [directory]
            while let last = list.last, last != mountPoint, last.count > mountPoint.count,
                let slash = last.lastIndex(of: "/"), slash != last.startIndex
            {
                list.append(String(last[..<slash]))
            }
            return list
        }
    }

    /// Version 2's single hierarchy, or nil if it is not mounted.
    let unified: Place?
    /// Version 1's hierarchies by controller.
    let controllers: [String: Place]
    let readFile: @Sendable (String) -> String?

    /// - Parameters:
    ///   - membership: the text of /proc/self/cgroup.
    ///   - mounts: the text of /proc/self/mountinfo.
    ///   - readFile: a file's text, nil when it cannot be read.
    init(membership: String, mounts: String, readFile: @escaping @Sendable (String) -> String?) {
        let mounts = mounts.split(separator: "\n").compactMap(Mount.init)
        var unified: Place?
        var controllers: [String: Place] = [:]
        for line in membership.split(separator: "\n") {
            // hierarchy-ID:controllers:path, the path last because it may contain colons
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            if fields[0] == "0", fields[1].isEmpty {
                unified = mounts.first { $0.isUnified }?.place(of: fields[2])
            }
            for controller in fields[1].split(separator: ",") where !controller.hasPrefix("name=") {
                let mount = mounts.first { $0.controllers.contains(String(controller)) }
                controllers[String(controller)] = mount?.place(of: fields[2])
            }
        }
        self.unified = unified
        self.controllers = controllers
        self.readFile = readFile
    }

    /// The groups of this process as the kernel reports them.
    package static var current: ControlGroup {
        ControlGroup(
            membership: (try? SmallFile.read("/proc/self/cgroup")) ?? "",
            mounts: (try? SmallFile.read("/proc/self/mountinfo")) ?? "",
            readFile: { try? SmallFile.read($0) })
    }

    /// How many processors' time the groups allow: the tightest limit of a group and its ancestors. If nil, there is no
    /// limit.
    package var cpuQuota: Double? {
        let unified = (unified?.lineage ?? []).compactMap { Self.quota(unified: readFile("\($0)/cpu.max")) }
        let separate = (controllers["cpu"]?.lineage ?? []).compactMap {
            Self.quota(quota: readFile("\($0)/cpu.cfs_quota_us"), period: readFile("\($0)/cpu.cfs_period_us"))
        }
        return (unified + separate).min()
    }

    /// Version 2: `max 100000` or `150000 100000`.
    private static func quota(unified text: String?) -> Double? {
        guard let fields = text?.split(whereSeparator: \.isWhitespace), fields.count == 2 else { return nil }
        return ratio(String(fields[0]), String(fields[1]))
    }

    /// Version 1: two files. A quota of -1 means no limit.
    private static func quota(quota: String?, period: String?) -> Double? {
        guard let quota, let period else { return nil }
        return ratio(quota.filter { !$0.isWhitespace }, period.filter { !$0.isWhitespace })
    }

    private static func ratio(_ quota: String, _ period: String) -> Double? {
        guard let quota = Int64(quota), let period = Int64(period), quota > 0, period > 0 else { return nil }
        return Double(quota) / Double(period)
    }
}

/// A line of mountinfo (proc(5)) about a control group hierarchy.
private struct Mount {
    let root: String
    let point: String
    let isUnified: Bool
    let controllers: Set<String>

    init?(_ line: Substring) {
        let halves = line.split(separator: " ")
        // ID, parent, device, root, mount point, options, optional fields, "-", type, source, super options
        guard let dash = halves.firstIndex(of: "-"), dash >= 6, halves.count >= dash + 4 else { return nil }
        root = Self.unescape(halves[3])
        point = Self.unescape(halves[4])
        let type = halves[dash + 1]
        guard type == "cgroup" || type == "cgroup2" else { return nil }
        isUnified = type == "cgroup2"
        controllers = isUnified ? [] : Set(halves[dash + 3].split(separator: ",").map(String.init))
    }

    /// Where a group's files are. In a container, the mount shows only a part of the hierarchy, `root`, and the path
    /// begins with it. A path outside of it maps to the mount point itself, which is the closest place visible.
    func place(of path: Substring) -> ControlGroup.Place {
        var rest = String(path)
        if root != "/" {
            if rest == root {
                rest = "/"
            } else if rest.hasPrefix(root + "/") {
                rest = String(rest.dropFirst(root.count))
            } else {
                rest = "/"
            }
        }
        if rest.split(separator: "/").contains("..") { rest = "/" }
        return ControlGroup.Place(directory: rest == "/" ? point : point + rest, mountPoint: point)
    }

    /// mountinfo writes blanks and backslashes as three octal digits.
    private static func unescape(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
