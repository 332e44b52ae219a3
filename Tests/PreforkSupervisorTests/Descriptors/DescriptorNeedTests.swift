// Whether a pool warns of a limit of descriptors that is too low for its workers.

import Testing

@testable import PreforkSupervisor

@Suite struct DescriptorNeedTests {
    @Test(arguments: [(1, 1_024, false), (100, 1_024, false), (1_000, 1_024, true), (1_000, 8_192, false), (10, 20, true)]
        as [(Int, UInt64, Bool)])
    func aLimitThatIsTooLowIsTold(workers: Int, limit: UInt64, isTooLow: Bool) {
        var need = DescriptorNeed(workers: workers)
        need.limit = limit
        #expect((need.warning != nil) == isTooLow)
    }

    @Test func theWarningSaysHowManyCanStart() {
        var need = DescriptorNeed(workers: 1_000)
        need.limit = 1_024
        #expect(
            need.warning == """
                1000 workers need about 3016 descriptors, and this process may have 1024: about 336 workers can start \
                (raise the hard limit: LimitNOFILE=, ulimit -Hn)
                """)
    }
}
