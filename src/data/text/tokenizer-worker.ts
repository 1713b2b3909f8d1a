/** The thread that tokenizes with the tokenizer of any folder. Asked by `text-tokenizer.ts`. */
import { readTokenizerFiles } from "./tokenizer/tokenizer-files.js";
import { TOKENIZER_ADVICE } from "./tokenizer-protocol.js";
import { answerTokenizerRequests } from "./tokenizer-thread.js";

answerTokenizerRequests(readTokenizerFiles, TOKENIZER_ADVICE);
