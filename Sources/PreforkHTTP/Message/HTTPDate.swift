// Dates of HTTP fields.

/// The time of a field such as `Date`, in the one form that a server may send (RFC 9110, 5.6.7): IMF-fixdate.
package enum HTTPDate {
    static let length = 29

    /// - Parameter second: since 1970, in UTC. A time before is 1970, one after the year 9999 is its last second.
    package static func format(secondsSince1970 second: Int) -> String {
        String(decoding: bytes(secondsSince1970: second), as: UTF8.self)
    }

    /// Always `length` bytes.
    static func bytes(secondsSince1970 second: Int) -> [UInt8] {
        let second = min(max(0, second), 253_402_300_799)
        let (day, time) = (second / 86_400, second % 86_400)
        let (year, month, dayOfMonth) = civil(day)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(length)
        append(name(day + 4, of: "SunMonTueWedThuFriSat", 7), ", ", to: &bytes)
        append(two: dayOfMonth, " ", to: &bytes)
        append(name(month - 1, of: "JanFebMarAprMayJunJulAugSepOctNovDec", 12), " ", to: &bytes)
        append(two: year / 100, "", to: &bytes)
        append(two: year % 100, " ", to: &bytes)
        append(two: time / 3_600, ":", to: &bytes)
        append(two: time / 60 % 60, ":", to: &bytes)
        append(two: time % 60, " GMT", to: &bytes)
        return bytes
    }

    /// The Gregorian date of a day since 1970. Years begin in March here, so that a leap day is a year's last (Howard
    /// Hinnant, chrono-Compatible Low-Level Date Algorithms).
    private static func civil(_ day: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = day + 719_468
        let (era, dayOfEra) = (shifted / 146_097, shifted % 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let year = yearOfEra + era * 400
        return (month < 10 ? year : year + 1, month < 10 ? month + 3 : month - 9, dayOfYear - (153 * month + 2) / 5 + 1)
    }

    /// Of names of three letters, the one with this number.
    private static func name(_ number: Int, of names: StaticString, _ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: names.utf8Start + number % count * 3, count: 3)
    }

    private static func append(
        _ name: UnsafeRawBufferPointer, _ rest: StaticString, to bytes: inout [UInt8]
    ) {
        bytes.append(contentsOf: name)
        bytes.append(contentsOf: rest.bytes)
    }

    private static func append(two number: Int, _ rest: StaticString, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "0") + UInt8(number / 10))
        bytes.append(UInt8(ascii: "0") + UInt8(number % 10))
        bytes.append(contentsOf: rest.bytes)
    }
}
