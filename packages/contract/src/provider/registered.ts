/** Which providers there are: one line each, under the id that stands in the database, in images and in the API. */
export { claudeCode as claude_code } from './claude-code.js';
export { codex } from './codex.js';
export { geminiCli as gemini_cli } from './gemini-cli.js';
