import numpy as np

reg_lambda = 0.01


def gradients(params, x, y):
    num_examples = len(x)
    a1 = np.maximum(x.dot(params.W1.T) + params.b1, 0)
    exp_scores = np.exp(a1.dot(params.W2.T) + params.b2)
    probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)
    delta3 = probs
    delta3[range(num_examples), y.argmax(axis=1)] -= 1
    delta3 /= num_examples
    dW2 = (a1.T).dot(delta3)
    db2 = np.sum(delta3, axis=0, keepdims=True)
    delta2 = delta3.dot(params.W2) * (a1 > 0)
    dW1 = np.dot(x.T, delta2)
    db1 = np.sum(delta2, axis=0)
    # Add regularization terms (b1 and b2 don't have regularization terms)
    dW2 += reg_lambda * params.W2.T
    dW1 += reg_lambda * params.W1.T
    return {"dW1": dW1.T, "db1": db1, "dW2": dW2.T, "db2": db2}
