// Cron schedules beside Python's croniter, whose times `Scripts/cron-table` has written down, and what is refused.

import Foundation
import PreforkSystem
import Testing

@testable import PreforkSupervisor

@Suite(.timeLimit(.minutes(2)))
struct CronScheduleTests {
    struct Row: Decodable {
        let schedule: String
        let start: Int64
        let next: [Int64]
    }

    private static let rows: [Row] = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "cron_table.json")
        do {
            return try JSONDecoder().decode([Row].self, from: Data(contentsOf: file))
        } catch {
            Issue.record(error)
            return []
        }
    }()

    @Test func `The times are those of croniter`() throws {
        #expect(Self.rows.count >= 700)
        for row in Self.rows {
            let schedule = try CronSchedule(row.schedule)
            var time = row.start
            for expected in row.next {
                time = schedule.next(after: time)
                #expect(time == expected, "\(row.schedule) after \(row.start)")
                if time != expected { break }
            }
        }
    }

    /// As in Vixie's cron, in cronsim and in APScheduler. croniter 7.0.0 takes it for the whole circle.
    @Test(arguments: [
        ("0 9-9 * * *", "0 9 * * *"), ("5-5 * * * *", "5 * * * *"), ("0 0 1-1 * *", "0 0 1 * *"),
        ("0 0 * * MON-MON", "0 0 * * MON"), ("0 0 1 2-2/1 *", "0 0 1 2 *"),
    ])
    func `A range of one value is that value`(_ range: String, _ value: String) throws {
        let (one, other) = (try CronSchedule(range), try CronSchedule(value))
        var time: Int64 = 1_767_225_600
        for _ in 0..<100 {
            #expect(one.next(after: time) == other.next(after: time))
            time = other.next(after: time)
        }
    }

    @Test func `Each minute of two years that matches by itself is the next one of the minute before`() throws {
        for text in ["*/7 */5 * * *", "0 12 13 * FRI", "5,55 23 */3 2-4 *", "0 0 1,15 * 2"] {
            let schedule = try CronSchedule(text)
            var (time, count): (Int64, Int) = (1_767_225_600, 0)
            let end: Int64 = time + 2 * 366 * 86_400
            while time < end {
                let next = schedule.next(after: time)
                // Nothing lies between: each time from here to there leads there.
                for probe in [time + 1, next - 61, next - 60, next - 1] where probe > time {
                    #expect(schedule.next(after: probe) == next, "\(text) after \(probe)")
                }
                #expect(next % 60 == 0 && next > time)
                time = next
                count += 1
            }
            #expect(count > 10, "\(text)")
        }
    }

    @Test(arguments: [
        ("", 1, "five fields are expected, not 0"),
        ("* * * *", 8, "five fields are expected, not 4"),
        ("* * * * * *", 11, "five fields are expected, not 6"),
        ("60 * * * *", 1, "the minute is within 0-59"),
        ("* 24 * * *", 3, "the hour is within 0-23"),
        ("* * 0 * *", 5, "the day of the month is within 1-31"),
        ("* * 32 * *", 5, "the day of the month is within 1-31"),
        ("* * * 13 *", 7, "the month is within 1-12"),
        ("* * * * 8", 9, "the day of the week is within 0-7"),
        ("*/0 * * * *", 3, "a step is 1 or more"),
        ("*/100 * * * *", 3, "a step is at most 99"),
        ("*/x * * * *", 3, "a step is a number, not \"x\""),
        ("5/10 * * * *", 2, "a step follows a star or a range"),
        ("5-1 * * * *", 3, "a range ends with its greater value"),
        ("* * * * FRI-MON", 13, "a range ends with its greater value"),
        ("1,,2 * * * *", 3, "the minute is a number, not \",2\""),
        ("1, * * * *", 3, "the minute is a number"),
        ("1- * * * *", 3, "the minute is a number"),
        ("-1 * * * *", 1, "the minute is a number, not \"-1\""),
        ("+1 * * * *", 1, "the minute is a number, not \"+1\""),
        ("*5 * * * *", 2, "\"5\" is not expected in the field of the minute"),
        ("5x * * * *", 2, "\"x\" is not expected in the field of the minute"),
        ("1.5 * * * *", 2, "\".5\" is not expected in the field of the minute"),
        ("99999999999999999999 * * * *", 1, "the minute is within 0-59"),
        ("* * * JANUARY *", 10, "\"UARY\" is not expected in the field of the month"),
        ("* * * FEX *", 7, "the month is a number or a name such as FEB, not \"FEX\""),
        ("* * * * L", 9, "the day of the week is a number or a name such as MON, not \"L\""),
        ("0 0 30 2 *", 5, "no such day exists"),
        ("0 0 31 4,6,9,11 *", 5, "no such day exists"),
        ("@reboot", 1, "@yearly, @monthly, @weekly, @daily or @hourly are known"),
        ("@", 1, "@yearly, @monthly, @weekly, @daily or @hourly are known"),
        ("*\n* * * *", 2, "\"\\u{A}*\" is not expected in the field of the minute"),
    ])
    func `What makes no sense is refused with its place`(text: String, position: Int, reason: String) {
        do throws(CronError) {
            let schedule = try CronSchedule(text)
            Issue.record("\(schedule) was taken")
        } catch {
            #expect(error.position == position)
            #expect(error.reason == reason)
            #expect(error.text == text)
        }
    }

    @Test func `A long text is refused unread, and random bytes reach no trap`() {
        #expect(throws: CronError.self) { try CronSchedule(String(repeating: "*,", count: 100_000)) }
        var random = SplitMix64(seed: 7)
        let letters = Array("0123456789*/-, \tMONJAN@#L?Ü\0".unicodeScalars)
        var taken = 0
        for _ in 0..<50_000 {
            var text = String.UnicodeScalarView()
            for _ in 0..<random.below(24) { text.append(letters[random.below(letters.count)]) }
            guard let schedule = try? CronSchedule(String(text)) else { continue }
            taken += 1
            #expect(schedule.next(after: 0) > 0)
        }
        #expect(taken >= 0)
    }

    @Test(arguments: [Int64.min, -62_135_596_801, -1, 0, 253_402_300_800, Int64.max])
    func `The ends of time are no trap`(_ second: Int64) throws {
        let schedule = try CronSchedule("0 0 29 2 *")
        let next = schedule.next(after: second)
        #expect(next % 86_400 == 0)
        #expect(next > -62_135_596_800)
    }
}
