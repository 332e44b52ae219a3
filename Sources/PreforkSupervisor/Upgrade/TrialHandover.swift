// The inheritance of an upgrade's trial, and whether the trial can continue from there.

import PreforkSystem

/// A trial shows that the new program can continue with what this one would leave it. Its changes reach no other
/// process. It gets a store's memory, of which it takes a private copy. Of a queue or a channel it gets only the
/// description, and makes its own, empty one.
enum TrialHandover {
    /// What a trial gets of what the next image would inherit. If nil, nothing.
    static func item(_ item: HandoverItem) -> HandoverItem? {
        var item = item
        switch DescriptorTable.role(ofHandover: item.kind) {
        case .store: item.descriptors = Array(item.descriptors.prefix(1))
        case .workQueue, .channel: item.descriptors = []
        case let role: if !DescriptorTable.keeps(role, .trial) { return nil }
        }
        return item
    }

    /// Ends a trial that cannot continue from here.
    static func check() {
        // Another format has other names for the same things.
        let reasons = formatObjection.map { [$0] } ?? Handover.objections
        if reasons.isEmpty { return }
        for (index, reason) in reasons.enumerated() {
            let text = "this program cannot take over from the previous one: \(reason)"
            StandardErrorLines.say("error", text, by: "\(index)")
        }
        TrialReport.tell(.refusal("it cannot take over from the running program: \(reasons.joined(separator: "; "))"))
        exitChild(code: Handover.trialFailed)
    }

    private static var formatObjection: String? {
        guard let own = Handover.take(Supervisor.handoverKind, key: "") else { return "it was handed no pool" }
        if InheritedPool(text: own.text) != nil { return nil }
        let format = Escaping.brief(InheritedPool.version(ofText: own.text))
        return """
            the previous program uses format \(format), and this one supports only \(InheritedPool.version): they have \
            different versions of Prefork. Stop the service and start it with the new program
            """
    }
}
