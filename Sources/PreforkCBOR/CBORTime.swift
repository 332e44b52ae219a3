// Times of day as text (RFC 3339) and as seconds since 2001, which is what `Date` holds.

/// A time as whole seconds since 2001-01-01T00:00:00Z and the decimal digits behind them.
///
/// Decimal digits and not a Double since 1970: that has steps of a quarter of a microsecond today, and `Date` has steps
/// of half that, so that every second `Date()` would come back as another one. Up to six digits are those of a Double
/// since 1970 all the same: most clocks and languages give such times, and a `Date` made of 1700000000.123 is
/// not to become ".1229999", which others cut off to 122 ms.
struct CBORTime {
    /// From 1970 to 2001.
    static let secondsFrom1970 = 978_307_200

    /// Rounded down.
    private var seconds: Int
    /// Digits behind the point, 0 to 9 each. Six at most: of a time since 1970.
    private var fraction: [UInt8]

    /// - Returns: nil for years that have not four digits, and for what is no number.
    init?(sinceReference number: Double) {
        // 0001-01-01 up to 9999-12-31, the years that other languages have, too.
        guard number >= -63_113_904_000, number < 252_423_993_600 else { return nil }
        let offset = Double(Self.secondsFrom1970)
        let since1970 = number + offset
        (seconds, fraction) = Self.parts(of: since1970)
        seconds -= Self.secondsFrom1970
        guard since1970 - offset != number || fraction.count > 6 else { return }
        (seconds, fraction) = Self.parts(of: number)
        while fraction.count < 7 { fraction.append(0) }
    }

    private static func parts(of number: Double) -> (seconds: Int, fraction: [UInt8]) {
        let whole = Int(number)
        guard Double(whole) != number else { return (whole, []) }
        let digits = fraction(of: number.magnitude)
        return number < 0 ? (whole - 1, complement(digits)) : (whole, digits)
    }

    /// The shortest digits that are this number again.
    private static func fraction(of number: Double) -> [UInt8] {
        let text = Array(number.description.utf8)
        let mantissa = text.prefix { $0 != UInt8(ascii: "e") }
        let behind = mantissa.drop { $0 != UInt8(ascii: ".") }.dropFirst().map { $0 - UInt8(ascii: "0") }
        guard mantissa.count < text.count else { return behind }
        // As 1.5e-07: zeros, the digit before the point, and those behind it.
        let exponent = Int(String(decoding: text.dropFirst(mantissa.count + 1), as: UTF8.self)) ?? 0
        guard exponent < 0 else { return behind }
        return [UInt8](repeating: 0, count: -exponent - 1) + [mantissa[0] - UInt8(ascii: "0")] + behind
    }

    /// One minus a fraction.
    private static func complement(_ digits: [UInt8]) -> [UInt8] {
        guard let last = digits.lastIndex(where: { $0 != 0 }) else { return [] }
        return digits[..<last].map { 9 - $0 } + [10 - digits[last]]
    }

    var sinceReference: Double {
        guard fraction.count <= 6 else { return Self.number(seconds, fraction) }
        return Self.number(seconds + Self.secondsFrom1970, fraction) - Double(Self.secondsFrom1970)
    }

    private static func number(_ seconds: Int, _ fraction: [UInt8]) -> Double {
        guard fraction.contains(where: { $0 != 0 }) else { return Double(seconds) }
        let digits = seconds < 0 ? complement(fraction) : fraction
        let whole = (seconds < 0 ? seconds + 1 : seconds).magnitude
        let text = "\(whole)." + String(decoding: digits.map { $0 + UInt8(ascii: "0") }, as: UTF8.self)
        let number = Double(text) ?? Double(whole)
        return seconds < 0 ? -number : number
    }
}

/// RFC 3339.
extension CBORTime {
    /// 2026-11-30T18:48:05.25Z
    var text: String {
        let (day, second) = seconds.quotientRoundingDown(by: 86_400)
        let date = Self.date(ofDay: day)
        var text: [UInt8] = []
        text.reserveCapacity(32)
        func append(_ number: Int, _ width: Int, _ end: Unicode.Scalar) {
            var rest = number
            let begin = text.count
            for _ in 0..<width {
                text.insert(UInt8(ascii: "0") + UInt8(rest % 10), at: begin)
                rest /= 10
            }
            text.append(UInt8(ascii: end))
        }
        append(date.year, 4, "-")
        append(date.month, 2, "-")
        append(date.day, 2, "T")
        append(second / 3600, 2, ":")
        append(second / 60 % 60, 2, ":")
        append(second % 60, 2, fraction.isEmpty ? "Z" : ".")
        guard !fraction.isEmpty else { return String(decoding: text, as: UTF8.self) }
        text += fraction.map { $0 + UInt8(ascii: "0") }
        text.append(UInt8(ascii: "Z"))
        return String(decoding: text, as: UTF8.self)
    }

    /// - Parameter isDay: the text is a date without time.
    init?(_ text: String, isDay: Bool = false) {
        var rest = Array(text.utf8)[...]
        guard let year = rest.number(4), rest.pass("-"), let month = rest.number(2), rest.pass("-"),
            let day = rest.number(2), (1...12).contains(month), (1...Self.days(in: month, year)).contains(day)
        else { return nil }
        seconds = Self.day(year, month, day) * 86_400
        fraction = []
        guard !isDay else {
            if rest.isEmpty { return }
            return nil
        }
        guard rest.pass("T") || rest.pass("t") || rest.pass(" "), let hour = rest.number(2), rest.pass(":"),
            let minute = rest.number(2), rest.pass(":"), let second = rest.number(2), hour < 24, minute < 60,
            second <= 60
        else { return nil }
        if rest.pass(".") {
            fraction = rest.prefix { (0x30...0x39).contains($0) }.map { $0 - 0x30 }
            guard !fraction.isEmpty else { return nil }
            rest = rest.dropFirst(fraction.count)
        }
        guard let zone = Self.zone(&rest), rest.isEmpty else { return nil }
        seconds += hour * 3600 + minute * 60 + second - zone
    }

    /// Seconds east of Greenwich.
    private static func zone(_ rest: inout ArraySlice<UInt8>) -> Int? {
        if rest.pass("Z") || rest.pass("z") { return 0 }
        let isEast = rest.pass("+")
        guard isEast || rest.pass("-"), let hour = rest.number(2), rest.pass(":"), let minute = rest.number(2),
            hour < 24, minute < 60
        else { return nil }
        return (hour * 3600 + minute * 60) * (isEast ? 1 : -1)
    }
}

/// The calendar, in both directions: days since 2001-01-01. Eras of 400 years begin in March, so that the leap day is
/// the last of its year.
extension CBORTime {
    private static let daysOfEra = 146_097
    /// From 0000-03-01 to 2001-01-01.
    private static let daysToReference = 730_791

    private static func days(in month: Int, _ year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    private static func day(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let (era, yearOfEra) = (month > 2 ? year : year - 1).quotientRoundingDown(by: 400)
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * daysOfEra + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - daysToReference
    }

    private static func date(ofDay day: Int) -> (year: Int, month: Int, day: Int) {
        let (era, dayOfEra) = (day + daysToReference).quotientRoundingDown(by: daysOfEra)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (era * 400 + yearOfEra + (month < 3 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
    }
}

extension Int {
    fileprivate func quotientRoundingDown(by divisor: Int) -> (quotient: Int, remainder: Int) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

extension ArraySlice<UInt8> {
    /// Takes exactly so many digits.
    fileprivate mutating func number(_ count: Int) -> Int? {
        let digits = prefix(count)
        guard digits.count == count, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        self = dropFirst(count)
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    fileprivate mutating func pass(_ character: Unicode.Scalar) -> Bool {
        guard let first, UInt32(first) == character.value else { return false }
        self = dropFirst()
        return true
    }
}
