# Completion of the resnet program for bash.
_resnet() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
  local common='--conv --memory --external-data --size --scores --json --quiet --help'
  local pictures='--preprocess --resize --crop'
  local work='--threads --batch'
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W 'classify eval inspect bench compile compare --help --version' -- "$current"))
    return
  fi
  case $previous in
    --preprocess)
      COMPREPLY=($(compgen -W 'imagenet imagenet-v2 cifar10 keras-caffe keras-tf none' -- "$current"))
      return ;;
    --conv)
      COMPREPLY=($(compgen -W 'auto direct winograd' -- "$current"))
      return ;;
    --memory)
      COMPREPLY=($(compgen -W 'normal small' -- "$current"))
      return ;;
    --resize | --crop)
      COMPREPLY=($(compgen -W 'none' -- "$current"))
      return ;;
    --size | --scores | --cam-class | -k | --top | -t | --threads | -b | --batch | -r | --runs | --lesions) return ;;
  esac
  if [[ $current == -* ]]; then
    local own
    case $command in
      classify) own="--model --top --cam --cam-class $work $pictures" ;;
      eval) own="--model --data $work $pictures" ;;
      inspect) own="--model --check $pictures" ;;
      bench) own="--model --runs --per-op $work" ;;
      compile) own="--model --output $pictures" ;;
      compare) own="--data --report --tables --lesions $work $pictures" ;;
      *) return ;;
    esac
    COMPREPLY=($(compgen -W "$common $own" -- "$current"))
    return
  fi
  compopt -o filenames 2>/dev/null
  local IFS=$'\n'
  COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _resnet resnet
