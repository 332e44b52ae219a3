// Formats of the pool's own types.

import PreforkSystem

extension SettingFormat<WorkerCount> {
    static var workers: Self {
        Self(
            shape: "auto, or 1 to \(WorkerCount.maximum)",
            parse: { text in
                if text == "auto" { return .perCore }
                return text.wholeNumber.flatMap { 1...WorkerCount.maximum ~= $0 ? .count($0) : nil }
            },
            show: { if case .count(let count) = $0 { "\(count)" } else { "auto" } })
    }
}

extension SettingFormat<RestartPolicy.Window> {
    static var window: Self {
        let duration = SettingFormat<Duration>.duration(atLeast: .milliseconds(1))
        return Self(
            shape: "a number and a time, as 5/10s",
            parse: { text in
                let parts = text.split(separator: "/", omittingEmptySubsequences: false)
                guard parts.count == 2, let count = parts[0].wholeNumber, count > 0,
                    let period = duration.parse(String(parts[1]))
                else { return nil }
                return RestartPolicy.Window(count: count, per: period)
            },
            show: { "\($0.count)/\(duration.show($0.period))" })
    }
}

extension SettingFormat<QuarantinePolicy> {
    static var quarantine: Self {
        let window = SettingFormat<RestartPolicy.Window>.window
        return Self(
            shape: "a number of at most 1000 and a time, as 3/60s",
            parse: { text in
                window.parse(text).flatMap {
                    $0.count <= 1_000 ? QuarantinePolicy(crashes: $0.count, per: $0.period) : nil
                }
            },
            show: { window.show(RestartPolicy.Window(count: $0.crashes, per: $0.period)) })
    }
}

extension SettingFormat<ReloadPolicy.Width> {
    static var reloadWidth: Self {
        Self(
            shape: "auto, +N (new ones first) or -N (old ones first)",
            parse: { text in
                if text == "auto" { return .automatic }
                guard let count = text.dropFirst().wholeNumber, 1...WorkerCount.maximum ~= count else { return nil }
                return text.first == "+" ? .surge(count) : text.first == "-" ? .unavailable(count) : nil
            },
            show: { width in
                switch width {
                case .automatic: "auto"
                case .surge(let count): "+\(count)"
                case .unavailable(let count): "-\(count)"
                }
            })
    }
}

extension SettingFormat<Endpoint> {
    static var endpoint: Self {
        Self(
            shape: "host:port, :port (this machine only) or an absolute path",
            parse: { text in
                // Metrics are private by default: to serve them on all addresses, name 0.0.0.0 or [::].
                if case .tcp("", let port) = Endpoint(text: text) { return .tcp("127.0.0.1", port) }
                return Endpoint(text: text)
            },
            show: { endpoint in
                switch endpoint {
                case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
                case .unix(let path, _, _): path
                }
            })
    }
}

extension SettingFormat<SocketOwner> {
    static var socketOwner: Self {
        Self(
            shape: "user, user:group or :group",
            parse: { text in
                let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                // `off` is no owner. `off:` names neither user nor group.
                guard !text.utf8.contains(0), parts.count == 2 ? !parts[1].isEmpty : !text.isEmpty else { return nil }
                return SocketOwner(user: parts[0].isEmpty ? nil : parts[0], group: parts.count == 2 ? parts[1] : nil)
            },
            show: { $0 == .unchanged ? "off" : $0.description })
    }
}

extension SettingFormat<CPUAffinity> {
    static var affinity: Self {
        Self(
            shape: "none, worker, or a list as 0-3,8",
            parse: { text in
                switch text {
                case "none": return CPUAffinity.none
                case "worker": return .perWorker
                default: return processors(text).map { .processors($0) }
                }
            },
            show: { affinity in
                switch affinity {
                case .none: "none"
                case .perWorker: "worker"
                case .processors(let list): list.map(String.init).joined(separator: ",")
                }
            })
    }

    /// The list format of cpuset(7).
    private static func processors(_ text: String) -> [Int]? {
        var found: Set<Int> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map(\.wholeNumber)
            guard 1...2 ~= ends.count, let first = ends[0], let last = ends[ends.count - 1], 0 <= first, first <= last,
                last < 1 << 20
            else { return nil }
            found.formUnion(first...last)
        }
        return found.sorted()
    }
}

extension SettingFormat<Duration?> {
    /// Zero is off, too.
    static var stall: Self {
        let least = Duration.milliseconds(20)
        let duration = SettingFormat<Duration>.duration(atLeast: .zero)
        return Self(
            shape: "\(duration.shape), at least 20ms, or off",
            parse: { text in
                guard text != "off" else { return .some(nil) }
                return duration.parse(text).flatMap { $0 == .zero ? .some(nil) : $0 >= least ? .some($0) : nil }
            },
            show: { $0.map(duration.show) ?? "off" }, accepts: { $0.map { $0 >= least } ?? true })
    }
}

extension SettingFormat<Int> {
    /// A number with a sign, as the kernel reads it.
    static var score: Self {
        let range = OutOfMemoryScore.range
        return Self(
            shape: "\(range.lowerBound) to \(range.upperBound)",
            parse: { text in
                let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
                return digits.wholeNumber.map { text == digits ? $0 : -$0 }.flatMap { range.contains($0) ? $0 : nil }
            },
            show: { "\($0)" }, accepts: { range.contains($0) })
    }
}

extension SettingFormat<UInt32> {
    static var fileMask: Self {
        Self(
            shape: "octal digits, as 027",
            parse: { text in text.wholeNumber == nil ? nil : UInt32(text, radix: 8).flatMap { $0 <= 0o777 ? $0 : nil }
            },
            show: { mask in
                let digits = String(mask, radix: 8)
                return String(repeating: "0", count: max(0, 3 - digits.count)) + digits
            })
    }
}

extension SettingFormat<Privileges.Groups> {
    static var groups: Self {
        Self(
            shape: "user (the groups of the user), none, or names and numbers such as www-data,1000",
            parse: { text in
                switch text {
                case "user": return .ofUser
                case "none": return Privileges.Groups.none
                default:
                    let names = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
                    return names.contains("") ? nil : .list(names)
                }
            },
            show: { groups in
                switch groups {
                case .ofUser: "user"
                case .none: "none"
                case .list(let names): names.joined(separator: ",")
                }
            })
    }
}

extension SettingFormat<Sandbox> {
    static var sandbox: Self {
        // A program can set what no text means, as a relative path.
        Self(
            shape: Sandbox.shape, parse: { Sandbox(text: $0) }, show: { $0.text },
            accepts: { Sandbox(text: $0.text) == $0 })
    }
}
