// Reading the dates of conditional requests (RFC 9110, section 5.6.7).

extension HTTPDate {
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    private static let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    private static let longDays = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

    /// Seconds since 1970, or nil for what is no date in one of the three forms. A recipient must take all three.
    ///
    /// - Parameter now: in seconds since 1970, for years of two digits: such a year is at most 50 years ahead.
    static func parse(_ text: String, now: Int) -> Int? {
        let words = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        switch words.count {
        case 6 where words[5] == "GMT":
            // Sun, 06 Nov 1994 08:49:37 GMT
            guard words[0].hasSuffix(","), days.contains(String(words[0].dropLast())), words[3].utf8.count == 4 else {
                return nil
            }
            return seconds(year: number(words[3], 4), words[2], day: number(words[1], 2), words[4])
        case 4 where words[3] == "GMT":
            // Sunday, 06-Nov-94 08:49:37 GMT
            let date = words[1].split(separator: "-", omittingEmptySubsequences: false).map(String.init)
            guard words[0].hasSuffix(","), longDays.contains(String(words[0].dropLast())), date.count == 3,
                let short = number(date[2], 2)
            else { return nil }
            return seconds(year: fullYear(short, now: now), date[1], day: number(date[0], 2), words[2])
        case 5, 6:
            // Sun Nov  6 08:49:37 1994: a day of one digit has a space in front.
            guard days.contains(words[0]) else { return nil }
            let isShort = words.count == 6
            guard !isShort || words[2].isEmpty else { return nil }
            let rest = words.suffix(3).map { $0 }
            return seconds(year: number(rest[2], 4), words[1], day: number(rest[0], isShort ? 1 : 2), rest[1])
        default: return nil
        }
    }

    /// - Returns: nil if it has not exactly so many digits.
    private static func number(_ text: String, _ digits: Int) -> Int? {
        guard text.utf8.count == digits, text.utf8.allSatisfy(\.isDigit) else { return nil }
        return Int(text)
    }

    private static func fullYear(_ short: Int, now: Int) -> Int {
        let thisYear = 1970 + now / 31_556_952
        let year = thisYear / 100 * 100 + short
        return year > thisYear + 50 ? year - 100 : year
    }

    private static func seconds(year: Int?, _ month: String, day: Int?, _ time: String) -> Int? {
        let parts = time.split(separator: ":", omittingEmptySubsequences: false).map { number(String($0), 2) }
        guard let year, let month = months.firstIndex(of: month), let day, parts.count == 3, let hour = parts[0],
            let minute = parts[1], let second = parts[2], hour < 24, minute < 60, second <= 60,
            (1...daysOf(month, year)).contains(day)
        else { return nil }
        return daysSince1970(year, month + 1, day) * 86_400 + hour * 3_600 + minute * 60 + second
    }

    private static func daysOf(_ month: Int, _ year: Int) -> Int {
        let isLeap = year.isMultiple(of: 4) && !year.isMultiple(of: 100) || year.isMultiple(of: 400)
        return [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month]
    }

    /// Years begin in March here (Howard Hinnant, chrono-Compatible Low-Level Date Algorithms).
    private static func daysSince1970(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let year = month <= 2 ? year - 1 : year
        let (era, yearOfEra) = (year / 400, year % 400)
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
