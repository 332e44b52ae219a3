// The output of children that a supervisor captures, and the formats of its logs.

import PreforkSystem

/// What of a child's output the supervisor reads and writes to its log (`PREFORK_CAPTURE_OUTPUT`).
public enum OutputCapture: String, Hashable, Sendable, CaseIterable {
    /// Nothing: children keep the supervisor's standard output and error.
    case off
    /// Standard error.
    case errors
    /// Standard error and standard output, as one stream.
    case on
}

extension SettingFormat<OutputCapture> {
    static var outputCapture: Self {
        Self(shape: "errors, on or off", parse: { OutputCapture(rawValue: $0) }, show: { $0.rawValue })
    }
}

/// How the lines of the access log are written (`PREFORK_ACCESS_LOG_FORMAT`).
public enum AccessLogFormat: String, Hashable, Sendable, CaseIterable {
    /// The combined format, as Apache httpd and nginx write it.
    case combined
    /// A JSON object for each line.
    case json

    var form: AccessLog.Form {
        switch self {
        case .combined: .combined
        case .json: .json
        }
    }
}

extension SettingFormat<AccessLogFormat> {
    static var accessLogFormat: Self {
        Self(shape: "combined or json", parse: { AccessLogFormat(rawValue: $0) }, show: { $0.rawValue })
    }
}

/// How the lines of the supervisor's log are written (`PREFORK_LOG_FORMAT`).
public enum LogFormat: String, Hashable, Sendable, CaseIterable {
    /// Time, process, level and message, for people.
    case text
    /// A JSON object for each line.
    case json
}

extension SettingFormat<LogFormat> {
    static var logFormat: Self {
        Self(shape: "text or json", parse: { LogFormat(rawValue: $0) }, show: { $0.rawValue })
    }
}
