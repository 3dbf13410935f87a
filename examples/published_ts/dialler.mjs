// Place a call with the published TypeScript client: `node dialler.mjs sip:someone@127.0.0.1:5070`.
import { SignalWire } from "@signalwire/realtime-api";

const tell = (what, more = {}) => console.log(JSON.stringify({ what, t: Date.now() / 1000, ...more }));

const client = await SignalWire({
  host: process.env.SIGNALWIRE_SPACE,
  project: process.env.SIGNALWIRE_PROJECT_ID,
  token: process.env.SIGNALWIRE_API_TOKEN,
});
try {
  const call = await client.voice.dialSip({ to: process.argv[2], from: "sip:demo@localhost", timeout: 15 });
  tell("answered", { call_id: call.id, direction: call.direction, state: call.state });
  await call.playTTS({ text: "Hello from a program." }).onEnded();
  tell("played");
  await call.sendDigits("12#");
  tell("sent");
  await call.hangup();
  tell("ended", { state: call.state });
} catch (error) {
  tell("failed", { error: String(error?.message ?? JSON.stringify(error)) });
}
await client.disconnect();
process.exit(0);
