/** What verbs call, behind one import: it loads the engines. */
export { doctor } from "../library/doctor.js";
export { fit, planFit, resume } from "../library/fit.js";
export { report, sync } from "../library/runs.js";
export { convertCoefficients, evaluateMethod, initSuite, mergeToDirectory, quickstart } from "../run.js";
