// Codes that reach a manager, and what it says of them.

import PreforkSystem

extension TargetRunner {
    func takeControls(of number: Int) {
        guard let line = lines[number] else { return }
        receive(bells.takeControls(of: UInt64(number), from: scoreboard.controls(line: line)))
    }

    private func receive(_ words: [UInt64]) {
        for word in words {
            if let packet = ControlPacket(word: word), packet.manager == inbox.manager {
                queue.append(.control(packet.target, code: packet.code, isPaced: true))
            } else if !ControlDesk.deliver(word) {
                tell(.strayControlPacket(bytes: 8))
            }
        }
    }

    func readInbox() {
        for received in inbox.takeAll() {
            queue.append(.control(received.packet.target, code: received.packet.code, isPaced: !received.isOwn))
        }
        receive(inbox.ring.take(from: &inboxPosition))
    }
}
