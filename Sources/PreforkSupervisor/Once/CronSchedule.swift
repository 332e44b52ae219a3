// Times by the rules of crontab(5), as a value that knows no clock.

import PreforkSystem

/// The minutes at which something is due, in UTC.
///
/// Five fields with spaces between them: minute (0-59), hour (0-23), day of the month (1-31), month (1-12 or JAN-DEC),
/// day of the week (0-7 or SUN-SAT, 0 and 7 are Sunday). A field is a list of values, ranges `a-b`, and ranges with a
/// step `a-b/n`. `*` is the whole range. Names may be in upper or lower case, also in ranges. `@yearly` (`@annually`),
/// `@monthly`, `@weekly`, `@daily` (`@midnight`) and `@hourly` stand for the usual lines.
///
/// If neither the day of the month nor the day of the week begins with `*`, a day that matches either of them counts.
/// Otherwise a day must match both. That is the rule of cronie and of Debian's cron (crontab(5)).
///
/// UTC has no daylight saving time: each minute comes once.
package struct CronSchedule: Hashable, Sendable {
    /// As it was given.
    package let text: String
    private let minutes: CronField
    private let hours: CronField
    private let days: CronField
    private let months: CronField
    private let weekdays: CronField

    private static let macros = [
        "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
    ]
    private static let longest = 1_000

    /// - Parameter text: at most 1,000 bytes.
    /// - Throws: `CronError` with the position of what makes no sense. Also for a schedule that names no day that
    ///   exists, such as February 30.
    package init(_ text: String) throws(CronError) {
        self.text = text
        var bytes = Array(text.utf8)
        if bytes.count > Self.longest {
            throw CronError(text, at: Self.longest + 1, "a schedule is at most 1,000 bytes")
        }
        if bytes.first == UInt8(ascii: "@") {
            guard let line = Self.macros[text.lowercased()] else {
                throw CronError(text, at: 1, "@yearly, @monthly, @weekly, @daily or @hourly are known")
            }
            bytes = Array(line.utf8)
        }
        let parts = Self.parts(of: bytes)
        let kinds = CronField.Kind.all
        var fields: [CronField] = []
        for (part, kind) in zip(parts, kinds) { fields.append(try CronField(bytes, part, kind)) }
        guard parts.count == kinds.count else {
            let position = parts.count > kinds.count ? parts[kinds.count].lowerBound : bytes.count
            throw CronError(text, at: position + 1, "five fields are expected, not \(parts.count)")
        }
        (minutes, hours, days, months, weekdays) = (fields[0], fields[1], fields[2], fields[3], fields[4])
        if day(from: 0) == nil { throw CronError(text, at: parts[2].lowerBound + 1, "no such day exists") }
    }

    private static func parts(of bytes: [UInt8]) -> [Range<Int>] {
        func isGap(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        var parts: [Range<Int>] = []
        var start: Int?
        for index in 0...bytes.count {
            if index < bytes.count, !isGap(bytes[index]) {
                start = start ?? index
            } else if let begin = start {
                parts.append(begin..<index)
                start = nil
            }
        }
        return parts
    }

    /// The first minute of the schedule after a time.
    ///
    /// - Parameter second: seconds since 1970-01-01T00:00:00Z. Beyond the years 1...9999, the nearest of them counts.
    /// - Returns: the same, the start of a minute.
    package func next(after second: Int64) -> Int64 {
        let second = min(max(second, -62_135_596_800), 253_402_300_800)
        let minute = Self.floor(second, 60) + 1
        let (today, minuteOfDay) = (Self.floor(minute, 1440), Int(minute - Self.floor(minute, 1440) * 1440))
        if matches(CivilDate(day: today)), let time = time(from: minuteOfDay) {
            return (today * 1440 + Int64(time)) * 60
        }
        // Proof that there is one: `init` has found a day, and the calendar repeats itself.
        let day = day(from: today + 1) ?? today + 1
        return (day * 1440 + Int64(time(from: 0) ?? 0)) * 60
    }

    /// The first minute of a day from `minute` on.
    private func time(from minute: Int) -> Int? {
        guard let hour = hours.first(from: minute / 60) else { return nil }
        if hour > minute / 60 { return minutes.first(from: 0).map { hour * 60 + $0 } }
        if let exact = minutes.first(from: minute % 60) { return hour * 60 + exact }
        guard let later = hours.first(from: hour + 1) else { return nil }
        return minutes.first(from: 0).map { later * 60 + $0 }
    }

    /// The first day that matches, from `day` on, in days since 1970. The Gregorian calendar and its weekdays repeat
    /// themselves after 146,097 days.
    private func day(from day: Int64) -> Int64? {
        var current = day
        while current <= day + 146_097 {
            let date = CivilDate(day: current)
            if matches(date) { return current }
            current += months.contains(date.month) ? 1 : Int64(date.daysLeftInMonth) + 1
        }
        return nil
    }

    private func matches(_ date: CivilDate) -> Bool {
        guard months.contains(date.month) else { return false }
        let (byDay, byWeekday) = (days.contains(date.day), weekdays.contains(date.weekday))
        return days.isOpen || weekdays.isOpen ? byDay && byWeekday : byDay || byWeekday
    }

    fileprivate static func floor(_ a: Int64, _ b: Int64) -> Int64 { a / b - (a % b < 0 ? 1 : 0) }
}

extension CronSchedule: CustomStringConvertible {
    package var description: String { text }
}

/// A day of the Gregorian calendar. Follows Howard Hinnant, chrono-Compatible Low-Level Date Algorithms (2013),
/// `civil_from_days`.
struct CivilDate: Equatable {
    let year: Int64
    /// 1...12
    let month: Int
    /// 1...31
    let day: Int
    /// 0 is Sunday.
    let weekday: Int

    /// - Parameter day: since 1970-01-01, a Thursday.
    init(day number: Int64) {
        let shifted = number + 719_468
        let era = CronSchedule.floor(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        day = Int(dayOfYear - (153 * month + 2) / 5 + 1)
        self.month = Int(month < 10 ? month + 3 : month - 9)
        year = yearOfEra + era * 400 + (self.month <= 2 ? 1 : 0)
        weekday = Int(((number + 4) % 7 + 7) % 7)
    }

    var daysLeftInMonth: Int {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let length = month == 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
        return length - day
    }
}
