// An IVR with the published TypeScript client: listen, answer, speak, ask for a digit, record, hang up.
// Run it where `@signalwire/realtime-api` is installed, with the variables that `offhook dev --env` prints.
import { SignalWire } from "@signalwire/realtime-api";

const tell = (what, more = {}) => console.log(JSON.stringify({ what, t: Date.now() / 1000, ...more }));

const client = await SignalWire({
  host: process.env.SIGNALWIRE_SPACE,
  project: process.env.SIGNALWIRE_PROJECT_ID,
  token: process.env.SIGNALWIRE_API_TOKEN,
});

await client.voice.listen({
  topics: [process.argv[2] ?? "default"],
  onCallReceived: async (call) => {
    tell("call", { call_id: call.id, direction: call.direction, state: call.state });
    try {
      await call.listen({ onStateChanged: (c) => tell("state", { call_id: c.id, state: c.state }) });
      await call.answer();
      tell("answered");
      const play = await call.playTTS({ text: "Welcome to the demonstration." }).onEnded();
      tell("played", { state: play.state });
      // onEnded() of a prompt without input stays pending in this client for ever; its listeners do not.
      const prompt = await new Promise((resolve, reject) =>
        call
          .promptTTS({
            text: "Press one for sales, or two for support.",
            digits: { max: 1, digitTimeout: 3 },
            initialTimeout: 10,
            listen: { onEnded: resolve, onFailed: resolve },
          })
          .onStarted()
          .catch(reject),
      );
      tell("collected", { type: prompt.type, digits: prompt.digits });
      const recorder = call.recordAudio({ format: "wav", direction: "speak" });
      const started = await recorder.onStarted();
      await call.playSilence({ duration: 2 }).onEnded();
      await started.stop();
      const recording = await recorder.onEnded();
      tell("recorded", { url: recording.url, duration: recording.duration, size: recording.size });
      await call.hangup();
      tell("ended", { state: call.state });
    } catch (error) {
      tell("error", { error: String(error?.message ?? JSON.stringify(error)) });
    }
  },
});
tell("listening");
