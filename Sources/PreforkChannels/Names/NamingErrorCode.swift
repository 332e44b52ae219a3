// Why a name failed, as the errors of channels, queues and stores say it.

import PreforkStore
import PreforkSystem

protocol NamingErrorCode {
    static func duplicate(_ name: String) -> Self
    static func unknown(_ name: String) -> Self
    /// What has the name is of another kind or type.
    static func refused(_ reason: String) -> Self
    static func tooManyNames(limit: Int) -> Self
    static func badArgument(_ reason: String) -> Self
    static func corrupt(_ what: String) -> Self
    static func system(_ error: SystemError) -> Self
    static var busy: Self { get }
}

extension NamingErrorCode {
    init(_ failure: FamilyNames.Failure, of name: String) {
        self =
            switch failure {
            case .duplicate: .duplicate(name)
            case .unknown: .unknown(name)
            case .tooMany: .tooManyNames(limit: FamilyNames.limit)
            case .badName: .badArgument("a name has 1 to \(HandleNote.longestName) bytes")
            case .busy: .busy
            case .damaged: .corrupt("the names of the service")
            case .refused(let refusal): .refused(refusal.reason)
            case .system(let error): .system(error)
            }
    }
}

extension ChannelError.Code: NamingErrorCode {
    static func duplicate(_: String) -> Self { .duplicateName }
    static func unknown(_: String) -> Self { .unknownName }
    static func refused(_ reason: String) -> Self { .notAChannel(reason) }
}

extension WorkQueueError.Code: NamingErrorCode {
    static func duplicate(_: String) -> Self { .duplicateName }
    static func unknown(_: String) -> Self { .unknownName }
    static func refused(_ reason: String) -> Self { .notAQueue(reason) }
}

extension StoreError.Code: NamingErrorCode {
    static func duplicate(_ name: String) -> Self { .duplicateName(name) }
    static func unknown(_ name: String) -> Self { .unknownName(name) }
    static func refused(_ reason: String) -> Self { .notAStore(reason) }
}
