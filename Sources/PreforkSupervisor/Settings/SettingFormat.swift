// Formats of the values of settings.

import PreforkSystem

/// A value as text, both ways: what `show` writes, `parse` reads.
struct SettingFormat<Value>: Sendable {
    /// What a value looks like, for errors and the manual: `seconds, or 500ms, 30s, 5m, 2h`.
    let shape: String
    /// nil for what is no such value.
    let parse: @Sendable (String) -> Value?
    let show: @Sendable (Value) -> String
    /// Whether the setting may have this value. The environment and the program have the same bounds.
    let accepts: @Sendable (Value) -> Bool

    /// - Parameter accepts: If nil, a value is accepted when `parse` can read what `show` writes.
    init(
        shape: String, parse: @escaping @Sendable (String) -> Value?, show: @escaping @Sendable (Value) -> String,
        accepts: (@Sendable (Value) -> Bool)? = nil
    ) {
        self.shape = shape
        self.parse = parse
        self.show = show
        self.accepts = accepts ?? { parse(show($0)) != nil }
    }
}

extension SettingFormat {
    /// Also `off`, which is nil.
    var orOff: SettingFormat<Value?> { or("off") }

    /// Also a word, which is nil.
    func or(_ word: String) -> SettingFormat<Value?> {
        SettingFormat<Value?>(
            shape: "\(shape), or \(word)", parse: { text in text == word ? .some(nil) : parse(text).map { .some($0) } },
            show: { $0.map(show) ?? word }, accepts: { $0.map(accepts) ?? true })
    }
}

extension StringProtocol {
    /// Digits and nothing else: Int reads `+3`, too, and what an operator meant by it is not clear.
    var wholeNumber: Int? { utf8.allSatisfy { 48...57 ~= $0 } ? Int(self) : nil }
}

extension SettingFormat<Int> {
    static func integer(_ range: ClosedRange<Int>) -> Self {
        Self(
            shape: range.upperBound == .max
                ? "a number from \(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)",
            parse: { $0.wholeNumber.flatMap { range.contains($0) ? $0 : nil } }, show: { "\($0)" },
            accepts: { range.contains($0) })
    }

    /// Bytes, with the binary K, M, G, T.
    static var bytes: Self {
        Self(
            shape: "bytes, or 512K, 300M, 2G",
            parse: { text in
                let units: [Character: Int] = ["K": 10, "M": 20, "G": 30, "T": 40]
                guard let last = text.last else { return nil }
                let shift = units[last]
                guard let count = (shift == nil ? text[...] : text.dropLast()).wholeNumber, count > 0 else {
                    return nil
                }
                let (bytes, overflow) = count.multipliedReportingOverflow(by: 1 << (shift ?? 0))
                return overflow ? nil : bytes
            },
            show: { bytes in
                for (unit, shift) in [("T", 40), ("G", 30), ("M", 20), ("K", 10)]
                where bytes > 0 && bytes % (1 << shift) == 0 { return "\(bytes >> shift)\(unit)" }
                return "\(bytes)"
            },
            accepts: { $0 > 0 })
    }
}

extension SettingFormat<Duration> {
    /// - Parameter minimum: what is shorter is refused.
    static func duration(atLeast minimum: Duration) -> Self {
        Self(
            shape: "seconds, or 500ms, 30s, 5m, 2h" + (minimum > .zero ? ", at least \(minimum.shown)" : ""),
            parse: { text in
                let units: [(suffix: String, milliseconds: Double)] = [("ms", 1), ("s", 1e3), ("m", 6e4), ("h", 3.6e6)]
                let unit = units.first { text.hasSuffix($0.suffix) }
                let digits = text.dropLast(unit?.suffix.count ?? 0)
                // Double reads `nan`, `inf` and `0x1p3`, too.
                guard digits.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }), let number = Double(digits)
                else { return nil }
                let milliseconds = (number * (unit?.milliseconds ?? 1e3)).rounded()
                guard milliseconds < 1e15 else { return nil }
                let duration = Duration.milliseconds(Int64(milliseconds))
                return duration >= minimum ? duration : nil
            },
            show: { $0.shown }, accepts: { $0 >= minimum })
    }
}

extension Duration {
    /// In the largest unit of which it is a whole number, at least milliseconds.
    fileprivate var shown: String {
        let milliseconds = saturatedNanoseconds / 1_000_000
        for (unit, size) in [("h", Int64(3_600_000)), ("m", 60_000), ("s", 1_000)]
        where milliseconds > 0 && milliseconds % size == 0 { return "\(milliseconds / size)\(unit)" }
        return milliseconds == 0 ? "0s" : "\(milliseconds)ms"
    }
}

extension SettingFormat<Bool> {
    static var flag: Self {
        Self(
            shape: "on or off",
            parse: {
                [
                    "on": true, "1": true, "yes": true, "true": true, "off": false, "0": false, "no": false,
                    "false": false,
                ][$0.lowercased()]
            },
            show: { $0 ? "on" : "off" })
    }
}

extension SettingFormat<String> {
    static var text: Self {
        // An empty variable counts as unset, and no user or group has an empty name.
        Self(shape: "text", parse: { $0.isEmpty || $0.contains("\0") ? nil : $0 }, show: { $0 })
    }

    /// A process changes its directory: a relative path would be another one then.
    static var path: Self {
        Self(shape: "an absolute path", parse: { $0.hasPrefix("/") && !$0.contains("\0") ? $0 : nil }, show: { $0 })
    }
}

extension SettingFormat<Double> {
    /// Without sign or exponent.
    static var number: Self {
        Self(
            shape: "a number, 0.5 or 4",
            parse: { text in
                guard text.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }), let number = Double(text),
                    number > 0
                else { return nil }
                return number
            },
            show: { abs($0) < 1e15 && $0 == $0.rounded() ? "\(Int($0))" : "\($0)" }, accepts: { $0 > 0 && $0 <= 1e15 })
    }

    static var percent: Self {
        Self(
            shape: "0% to 100%",
            parse: { text in
                guard text.hasSuffix("%"), let number = text.dropLast().wholeNumber, 0...100 ~= number else {
                    return nil
                }
                return Double(number) / 100
            },
            show: { abs($0) < 1e9 ? "\(Int(($0 * 100).rounded()))%" : "\($0)" }, accepts: { 0...1 ~= $0 })
    }
}
