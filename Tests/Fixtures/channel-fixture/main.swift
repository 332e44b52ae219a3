// Programs that fork and use the channel, one scenario each: channel-fixture SCENARIO [ARGUMENTS].

import PreforkFixtureSupport

runScenario(of: [
    "killed-sender": killedSenderScenario,
    "killed-receiver": killedReceiverScenario,
    "death": deathScenario,
    "death-of-early-callee": deathOfEarlyCalleeScenario,
    "death-of-receiver": deathOfReceiverScenario,
    "blocking": blockingScenario,
    "stopped": stoppedScenario,
    "close": closeScenario,
    "closed-lives": closedEndLivesScenario,
    "end-in-use": endInUseScenario,
    "peer-events": peerEventsScenario,
    "deliver": deliverScenario,
    "ping-pong": pingPongScenario,
    "stream": streamScenario,
    "descriptors": descriptorsScenario,
])
